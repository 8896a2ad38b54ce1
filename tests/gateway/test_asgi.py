"""A whole response in two messages."""

from __future__ import annotations

import pytest

from appliance.gateway.asgi import Message, respond

pytestmark = pytest.mark.anyio


async def test_response_states_its_type_and_length_and_ends() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await respond(send, 418, "차".encode(), [(b"x-more", b"1")], b"text/plain")
    start, body = sent
    assert start["status"] == 418
    assert start["headers"] == [(b"content-type", b"text/plain"), (b"content-length", b"3"), (b"x-more", b"1")]
    assert body["body"] == "차".encode()
    assert not body.get("more_body", False)
