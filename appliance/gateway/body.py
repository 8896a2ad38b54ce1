"""The request body: read whole, within a size and a time."""

from __future__ import annotations

import asyncio

from appliance.errors import BadJson, PayloadTooLarge, RequestTimeout
from appliance.gateway import caller
from appliance.gateway.asgi import Message, Receive, Scope


class ClientGone(Exception):
    """The client closed its connection before the body was complete."""


async def read(scope: Scope, receive: Receive, *, max_bytes: int, timeout_seconds: float) -> bytes:
    """Read the body of a JSON request.

    Args:
        scope: ASGI scope, for the announced length and type.
        receive: ASGI receive.
        max_bytes: largest body.
        timeout_seconds: longest time from the first to the last byte.

    Raises:
        PayloadTooLarge: it is, or announces to be, larger.
        RequestTimeout: it did not arrive in time.
        BadJson: its type is not JSON.
        ClientGone: the client left meanwhile.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            raise PayloadTooLarge(
                f"The request body is larger than {max_bytes} bytes.", headers={"connection": "close"}
            )
        if name == b"content-type" and not _is_json(value):
            raise BadJson("The Content-Type is not application/json.")
    # The usual case first: a small body is here already, and needs no timer.
    by = caller.of(scope)
    message = _present(await receive()) if by is not None and by.sent_all else await _next(receive, timeout_seconds)
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        body = await _rest(receive, body, max_bytes, timeout_seconds)
    if len(body) > max_bytes:
        raise PayloadTooLarge(f"The request body is larger than {max_bytes} bytes.", headers={"connection": "close"})
    return body


async def _next(receive: Receive, timeout_seconds: float) -> Message:
    try:
        async with asyncio.timeout(timeout_seconds):
            message = await receive()
    except TimeoutError:
        raise RequestTimeout(headers={"connection": "close"}) from None
    return _present(message)


def _present(message: Message) -> Message:
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


async def _rest(receive: Receive, body: bytes, max_bytes: int, timeout_seconds: float) -> bytes:
    parts, size = [body], len(body)
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    more = True
    while more and size <= max_bytes:
        message = await _next(receive, max(0.0, deadline - asyncio.get_running_loop().time()))
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = bool(message.get("more_body", False))
    return b"".join(parts)


def _is_json(value: bytes) -> bool:
    media_type = value.split(b";", 1)[0].strip().lower()
    return media_type == b"application/json" or media_type.endswith(b"+json")
