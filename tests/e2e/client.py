"""What the end-to-end tests of the gateway share: the official SDK, and what no answer may show."""

from __future__ import annotations

import re
from typing import Any

import httpx
import openai

from tests.e2e.conftest import Box

#: Traces of the inside: a traceback, a path of this or any box, an engine's own words.
INTERNAL = re.compile(
    r"Traceback|site-packages|/(?:home|opt|root|tmp|usr|var|work)/|vllm|VLLM|pydantic|EngineCore|\.py\b"
)


def sdk(box: Box) -> openai.OpenAI:
    """The official client as an app makes it, without its retries, which would hide failures."""
    checked = httpx.Client(event_hooks={"response": [_check_failure]}, timeout=120)
    return openai.OpenAI(base_url=box.base_url, api_key=box.key, max_retries=0, http_client=checked)


def say(text: str) -> Any:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def _check_failure(response: httpx.Response) -> None:
    if response.is_success:
        return
    response.read()
    check_error(response.json())
    assert response.headers["x-request-id"].startswith("req-")


def check_error(body: Any) -> None:
    """The OpenAI error form, without a trace of the inside."""
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert not INTERNAL.search(str(body)), body
