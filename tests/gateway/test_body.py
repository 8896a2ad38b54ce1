"""A body is read whole, within a size and a time."""

from __future__ import annotations

import asyncio

import pytest

from appliance.errors import BadJson, PayloadTooLarge, RequestTimeout
from appliance.gateway import body
from appliance.gateway.asgi import Message
from appliance.gateway.body import ClientGone

pytestmark = pytest.mark.anyio


async def read(
    *messages: Message, headers: tuple[tuple[bytes, bytes], ...] = (), max_bytes: int = 10, seconds: float = 30
) -> bytes:
    queue = list(messages)

    async def receive() -> Message:
        if not queue:
            await asyncio.Event().wait()
        return queue.pop(0)

    found = await body.read({"headers": list(headers)}, receive, max_bytes=max_bytes, timeout_seconds=seconds)
    assert not queue, "nothing is left unread"
    return found


def part(data: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


async def test_body_in_one_piece_or_many_is_the_same() -> None:
    assert await read(part(b"0123456789")) == b"0123456789"
    assert await read(part(b"01234", True), part(b"", True), part(b"56789")) == b"0123456789"
    assert await read({"type": "http.request"}) == b""


async def test_announced_length_over_the_cap_is_refused_unread() -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        await read(headers=((b"content-length", b"11"),))
    assert caught.value.headers["connection"] == "close"


async def test_unannounced_length_is_refused_where_it_crosses_the_cap() -> None:
    with pytest.raises(PayloadTooLarge):
        await read(part(b"01234567890"))
    with pytest.raises(PayloadTooLarge):
        await read(part(b"012345", True), part(b"67890", True))


async def test_body_that_stalls_is_a_timeout_over_all_its_parts() -> None:
    with pytest.raises(RequestTimeout):
        await read(seconds=0.02)
    with pytest.raises(RequestTimeout):
        await read(part(b"0", True), seconds=0.02)


async def test_body_that_drips_is_a_timeout_although_no_pause_is_long() -> None:
    async def receive() -> Message:
        await asyncio.sleep(0.005)
        return part(b"", True)

    with pytest.raises(RequestTimeout):
        await body.read({"headers": []}, receive, max_bytes=10, timeout_seconds=0.05)


async def test_client_that_leaves_is_not_an_error() -> None:
    with pytest.raises(ClientGone):
        await read({"type": "http.disconnect"})
    with pytest.raises(ClientGone):
        await read(part(b"0", True), {"type": "http.disconnect"})


@pytest.mark.parametrize(
    "kind", [b"application/json", b"Application/JSON; charset=utf-8", b"application/vnd.api+json", None]
)
async def test_json_type_or_none_is_taken(kind: bytes | None) -> None:
    headers = ((b"content-type", kind),) if kind else ()
    assert await read(part(b"{}"), headers=headers) == b"{}"


@pytest.mark.parametrize("kind", [b"", b"text/plain", b"multipart/form-data; boundary=x", b"application/jsonp"])
async def test_any_other_type_is_refused(kind: bytes) -> None:
    with pytest.raises(BadJson):
        await read(headers=((b"content-type", kind),))
