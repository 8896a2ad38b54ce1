"""Two listeners in one event loop: up together, down in order, signals to the public one alone."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import uvicorn

from appliance.gateway.admin_server import AdminServer
from appliance.gateway.asgi import Receive, Scope, Send, respond
from appliance.gateway.server import bind

pytestmark = pytest.mark.anyio


def app(text: bytes) -> Any:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 200, text, [])

    return answer


@pytest.fixture
def listeners() -> tuple[socket.socket, socket.socket]:
    return bind("127.0.0.1", 0), bind("127.0.0.1", 0)


def url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.005)


async def test_both_answer_and_both_end_when_the_public_one_is_told_to(listeners: Any) -> None:
    listener, admin_listener = listeners
    addresses = url(listener), url(admin_listener)
    public = uvicorn.Server(uvicorn.Config(app(b"public"), lifespan="off", log_config=None))
    admin = AdminServer(app(b"admin"), admin_listener)
    serving = asyncio.create_task(admin.beside(public, listener))
    await until(lambda: public.started and admin.started)
    async with httpx.AsyncClient() as client:
        assert [(await client.get(address)).text for address in addresses] == ["public", "admin"]
        public.should_exit = True
        async with asyncio.timeout(10):
            await serving
        for address in addresses:
            with pytest.raises(httpx.ConnectError):
                await client.get(address)


async def test_admin_outlives_the_last_running_answer(listeners: Any) -> None:
    listener, admin_listener = listeners
    address, admin_address = url(listener), url(admin_listener)
    finish = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await finish.wait()
        await respond(send, 200, b"late", [])

    public = uvicorn.Server(uvicorn.Config(slow, lifespan="off", log_config=None))
    admin = AdminServer(app(b"admin"), admin_listener)
    serving = asyncio.create_task(admin.beside(public, listener))
    await until(lambda: public.started and admin.started)
    async with httpx.AsyncClient() as client:
        answer = asyncio.create_task(client.get(address))
        await until(lambda: public.server_state.tasks)
        public.should_exit = True
        await until(lambda: not any(server.is_serving() for server in public.servers))
        assert (await client.get(admin_address)).text == "admin", "a scrape sees how the answers finish"
        finish.set()
        assert (await answer).text == "late"
        async with asyncio.timeout(10):
            await serving


async def test_admin_server_takes_no_signal(listeners: Any) -> None:
    for listener in listeners:
        listener.close()
    before = signal.getsignal(signal.SIGTERM)
    with AdminServer(app(b""), listeners[1]).capture_signals():
        assert signal.getsignal(signal.SIGTERM) is before
