"""The requests that are sent, as bytes: made once, so that sending them costs nothing."""

from __future__ import annotations

import json

from tests.bench.processes import Target

PROMPT_BYTES = 1000
PATH = "/v1/chat/completions"


def body(model: str, **fields: object) -> bytes:
    """A chat completion with a prompt of a kilobyte."""
    messages = [{"role": "user", "content": "x" * PROMPT_BYTES}]
    return json.dumps({"model": model, "messages": messages, "max_tokens": 100, **fields}).encode()


def wire(target: Target, payload: bytes) -> bytes:
    """The whole HTTP request."""
    head = "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
    return (
        f"POST {PATH} HTTP/1.1\r\nhost: bench\r\n{head}content-type: application/json\r\n"
        f"content-length: {len(payload)}\r\n\r\n"
    ).encode() + payload
