from __future__ import annotations

import asyncio
from typing import Any

import pytest

from appliance.gateway import caller
from appliance.gateway.caller import Caller

pytestmark = pytest.mark.anyio


def test_listener_hears_of_the_leaving_once() -> None:
    heard: list[Caller] = []
    client = Caller()
    client.on_leave(heard.append)
    client.leave()
    client.leave()
    assert heard == [client]
    assert client.has_gone


def test_forgotten_listener_hears_nothing() -> None:
    heard: list[Caller] = []
    client = Caller()
    client.on_leave(heard.append)
    client.forget(heard.append)
    client.forget(heard.append)
    client.leave()
    assert heard == []


async def test_who_listens_too_late_hears_it_all_the_same() -> None:
    client = Caller()
    client.leave()
    heard = asyncio.Event()
    client.on_leave(lambda _: heard.set())
    async with asyncio.timeout(5):
        assert await heard.wait()


async def test_behind_another_server_the_end_of_receive_is_the_leaving() -> None:
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    client = Caller()
    gone = asyncio.Event()
    client.on_leave(lambda _: gone.set())
    client.watch(messages.get)
    messages.put_nowait({"type": "http.request", "body": b""})
    messages.put_nowait({"type": "http.disconnect"})
    async with asyncio.timeout(5):
        await gone.wait()
    assert client.has_gone


async def test_closed_caller_listens_no_more() -> None:
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    client = Caller()
    client.watch(messages.get)
    client.close()
    messages.put_nowait({"type": "http.disconnect"})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not client.has_gone
    assert messages.qsize() == 1


def test_scope_carries_the_caller() -> None:
    scope: dict[str, Any] = {}
    assert caller.of(scope) is None
    client = Caller()
    caller.attach(scope, client)
    assert caller.of(scope) is client
