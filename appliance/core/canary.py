"""Canaries: words that stand nowhere else, the ways an app may send one, and the forms in which one may turn up.

Pure: what to send and what to look for. Sending and looking is ``health.privacy``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Random bytes of the tag that all canaries of one run begin with: it is found by chance nowhere.
TAG_BYTES = 10
_LONG_PROMPT_WORDS = 60_000


@dataclass(frozen=True, slots=True)
class Planting:
    """One request that carries a canary.

    Attributes:
        where: which part of which request carries it, for the report.
        method: HTTP method.
        path: request target.
        body: bytes, or none.
        headers: besides content type and key.
        leave_early: close the connection after the first bytes of the answer.
        authorized: send the key.
    """

    where: str
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    leave_early: bool = False
    authorized: bool = True


def tag(random: bytes) -> str:
    """The beginning of a run's canaries: 16 letters and digits, plain in every encoding.

    Args:
        random: :data:`TAG_BYTES` random bytes.
    """
    return base64.b32encode(random).decode().lower()


def word(run_tag: str, number: int) -> str:
    """One canary of a run, 24 characters."""
    return f"{run_tag}{number:08d}"


def forms(text: str) -> tuple[bytes, ...]:
    """The byte strings in which a canary, or the tag it begins with, may be written down.

    As it is (also inside JSON, URLs and SQLite), in capitals, in UTF-16, in hexadecimal, and in Base64 at
    each of its three alignments. Compressed or encrypted text is not found.
    """
    plain = text.encode()
    encoded = []
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + plain).decode()
        # Only the characters that the text alone decides.
        encoded.append(whole[4 if shift else 0 : len(whole) - 4].encode())
    return (
        plain,
        plain.upper(),
        text.encode("utf-16-le"),
        plain.hex().encode(),
        plain.hex().upper().encode(),
        *encoded,
    )


def plantings(canary: str, model: str) -> Iterator[Planting]:
    """Every way through the public listener that takes text, the good ones and the failing ones.

    Args:
        canary: the word.
        model: a name the appliance serves.
    """
    yield from _answered(canary, model)
    yield from _refused_bodies(canary, model)
    yield from _refused_requests(canary, model)


def _answered(canary: str, model: str) -> Iterator[Planting]:
    chat: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": f"학생: {canary}"}],
        "max_tokens": 4,
    }
    yield _post("a chat's message", "/v1/chat/completions", chat)
    yield _post("a streamed chat's message", "/v1/chat/completions", {**chat, "stream": True})
    long = {**chat, "stream": True, "max_tokens": 512}
    yield _post("a stream that is left early", "/v1/chat/completions", long, leave_early=True)
    yield _post(
        "an answer that nobody waits for", "/v1/chat/completions", {**chat, "max_tokens": 512}, leave_early=True
    )
    system = [{"role": "system", "content": canary}, *chat["messages"]]
    yield _post("a system message", "/v1/chat/completions", {**chat, "messages": system})
    yield _post(
        "fields that are accepted and ignored",
        "/v1/chat/completions",
        {**chat, "user": canary, "metadata": {"a": canary}},
    )
    yield _post("a stop word", "/v1/chat/completions", {**chat, "stop": [canary]})
    schema = {"type": "object", "properties": {canary: {"const": canary}}, "required": [canary]}
    shaped = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    yield _post("a JSON schema", "/v1/chat/completions", {**chat, "max_tokens": 64, "response_format": shaped})
    yield _post("a completion's prompt", "/v1/completions", {"model": model, "prompt": canary, "max_tokens": 4})
    yield _post("a response's input", "/v1/responses", {"model": model, "input": canary, "max_output_tokens": 16})
    yield _post(
        "a streamed response's input",
        "/v1/responses",
        {"model": model, "input": canary, "max_output_tokens": 16, "stream": True},
    )
    yield _post("text to embed", "/v1/embeddings", {"model": model, "input": canary})


def _refused_bodies(canary: str, model: str) -> Iterator[Planting]:
    chat: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": canary}]}
    path = "/v1/chat/completions"
    yield _post(
        "a prompt beyond the context",
        path,
        {**chat, "messages": [{"role": "user", "content": f"{canary} " * (_LONG_PROMPT_WORDS // 24)}]},
    )
    yield _post("an unknown model's name", path, {**chat, "model": canary})
    yield _post("an unknown field's name", path, {**chat, canary: 1})
    yield _post("an unknown field's value", path, {**chat, "unknown": canary})
    yield _post("a refused field", path, {**chat, "chat_template": canary})
    yield _post("a value of the wrong type", path, {**chat, "temperature": canary})
    yield _post("messages of the wrong type", path, {**chat, "messages": canary})
    yield _post(
        "an image's address",
        path,
        {
            **chat,
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"http://{canary}/"}}]}
            ],
        },
    )
    yield _post(
        "a schema that is refused",
        path,
        {**chat, "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": canary}}}},
    )
    yield _post(
        "a tool that is refused",
        path,
        {**chat, "tools": [{"type": "function", "function": {"name": f"{canary} {canary}"}}]},
    )
    yield Planting("a body that is not JSON", "POST", path, f'{{"messages": "{canary}'.encode())
    yield Planting("a body of another type", "POST", path, canary.encode(), {"content-type": "text/plain"})
    yield Planting("a body that is too large", "POST", path, (canary * 200_000).encode())


def _refused_requests(canary: str, model: str) -> Iterator[Planting]:
    chat = json.dumps({"model": model, "messages": [{"role": "user", "content": canary}], "max_tokens": 4}).encode()
    path = "/v1/chat/completions"
    yield Planting("a request id", "POST", path, chat, {"x-request-id": canary})
    yield Planting(
        "a user agent, a cookie and a referrer",
        "POST",
        path,
        chat,
        {"user-agent": canary, "cookie": canary, "referer": canary},
    )
    yield Planting("a forwarded address", "POST", path, chat, {"x-forwarded-for": canary, "forwarded": f"for={canary}"})
    yield Planting("a request without a key", "POST", path, chat, authorized=False)
    yield Planting(
        "a key that is not valid", "POST", path, chat, {"authorization": f"Bearer {canary}"}, authorized=False
    )
    yield Planting("a path that does not exist", "GET", f"/v1/{canary}")
    yield Planting("a model's name in the path", "GET", f"/v1/models/{canary}")
    yield Planting("a query", "GET", f"/v1/models?{canary}={canary}")
    yield Planting("a wrong method", "DELETE", f"/v1/models/{canary}")
    yield Planting("the health route's query", "GET", f"/health/ready?{canary}")


def _post(where: str, path: str, body: dict[str, Any], *, leave_early: bool = False) -> Planting:
    return Planting(where, "POST", path, json.dumps(body, ensure_ascii=False).encode(), leave_early=leave_early)
