"""Handshakes of TLS: raw sockets that never finish one are counted, limited in number, and end in time."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from appliance.gateway.asgi import Receive, Scope, Send
from appliance.gateway.handshake import Handshake, Handshakes
from appliance.gateway.public_server import PublicServer
from appliance.gateway.server import bind, configure, secure
from appliance.gateway.tls import Certificate
from appliance.notify import Notifier
from appliance.settings import Settings
from tests.cli.foreground import wait_for
from tests.gateway import certificates

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n"
#: The beginning of a record that is a handshake, which says that 512 bytes follow.
HALF = b"\x16\x03\x01\x02\x00\x01"


@dataclass
class Served:
    """A listener over TLS."""

    address: tuple[str, int]
    handshakes: Handshakes
    server: uvicorn.Server
    seen: list[str]
    release: threading.Event

    def raw(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=10)

    def secured(self) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(self.raw())

    def wait_for_handshakes(self, count: int) -> None:
        wait_for(lambda: len(self.handshakes) == count)

    def wait_for_connections(self, count: int) -> None:
        wait_for(lambda: len(self.server.server_state.connections) == count)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    pair = certificates.make("box", certificates.make("Test CA"))
    return Certificate(*pair.write(tmp_path_factory.mktemp("tls")), time.time())


@contextmanager
def serving(certificate: Certificate, max_connections: int, seconds: float = 60.0) -> Iterator[Served]:
    seen: list[str] = []
    trouble: list[dict[str, Any]] = []
    release = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append(scope["scheme"])
        if scope["path"] == "/slow":
            await asyncio.to_thread(release.wait)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    settings = Settings(state_dir=Path("/nowhere"), gateway={"max_connections": max_connections})
    config = configure(settings, app)
    handshakes = secure(config, certificate)
    config.http_protocol_class.seconds = seconds  # type: ignore[attr-defined]
    listener = bind("127.0.0.1", 0)
    server = PublicServer(config, Notifier(None), None, None, handshakes)

    async def serve() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
        await server.serve(sockets=[listener])

    def run() -> None:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield Served(listener.getsockname(), handshakes, server, seen, release)
    finally:
        release.set()
        server.should_exit = True
        thread.join(10)
        listener.close()
    assert not thread.is_alive()
    assert trouble == []


def ask(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(GET)
    answer = connection.recv(65_536)
    while not answer.endswith(b"ok"):
        answer += connection.recv(65_536)
    return answer


def is_cut(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_request_after_a_handshake_is_answered(certificate: Certificate) -> None:
    with serving(certificate, max_connections=8) as served, served.secured() as connection:
        assert ask(connection).startswith(b"HTTP/1.1 200 ")
        assert ask(connection).startswith(b"HTTP/1.1 200 ")
        assert served.seen == ["https", "https"]
        assert (len(served.handshakes), len(served.server.server_state.connections)) == (0, 1)


def test_request_that_comes_with_the_end_of_the_handshake_is_answered(certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    with serving(certificate, max_connections=8) as served, served.raw() as connection:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65_536))
        tls.write(GET)
        connection.sendall(outgoing.read())  # the client's last message and its request in one packet
        answer = b""
        while not answer.endswith(b"ok"):
            try:
                answer += tls.read(65_536)
            except ssl.SSLWantReadError:
                incoming.write(connection.recv(65_536))
        assert answer.startswith(b"HTTP/1.1 200 ")


def test_unfinished_handshakes_count_and_the_oldest_gives_way(certificate: Certificate) -> None:
    with serving(certificate, max_connections=8) as served, ExitStack() as held:
        silent = [held.enter_context(served.raw()) for _ in range(4)]
        served.wait_for_handshakes(4)
        silent[1].sendall(HALF)
        fifth = held.enter_context(served.raw())
        assert is_cut(silent[0])
        served.wait_for_handshakes(4)
        assert ask(held.enter_context(served.secured())).startswith(b"HTTP/1.1 200 ")
        assert is_cut(silent[1])
        for one in (*silent[2:], fifth):
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)


def test_handshakes_and_connections_together_have_an_end(certificate: Certificate) -> None:
    with serving(certificate, max_connections=2) as served, ExitStack() as held:
        for number in range(3):
            held.enter_context(served.secured())
            served.wait_for_connections(number + 1)
        assert is_cut(held.enter_context(served.raw()))
        served.wait_for_handshakes(0)
        assert len(served.server.server_state.connections) == 3


def test_handshake_that_is_not_finished_in_time_is_cut_off(certificate: Certificate) -> None:
    with serving(certificate, max_connections=8, seconds=0.2) as served, served.raw() as silent, served.raw() as slow:
        slow.sendall(HALF)
        assert is_cut(silent)
        assert is_cut(slow)
        served.wait_for_handshakes(0)


def test_client_that_leaves_or_talks_nonsense_is_forgotten(certificate: Certificate) -> None:
    with serving(certificate, max_connections=8) as served:
        for said in (b"", HALF, b"GET / HTTP/1.1\r\n\r\n"):
            with served.raw() as connection:
                connection.sendall(said)
                if not said.startswith(HALF[:1]):
                    connection.shutdown(socket.SHUT_WR)
        served.wait_for_handshakes(0)
        with served.secured() as connection:
            assert ask(connection).startswith(b"HTTP/1.1 200 ")


def test_stop_gives_up_handshakes_while_answers_are_finished(certificate: Certificate) -> None:
    with serving(certificate, max_connections=8) as served, served.secured() as asking, served.raw() as silent:
        asking.sendall(SLOW)
        wait_for(lambda: served.seen == ["https"])
        served.wait_for_handshakes(1)
        served.server.should_exit = True
        assert is_cut(silent)
        served.release.set()
        assert asking.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_what_is_left_is_not_left_again() -> None:
    account = Handshakes(4)
    handshake = Handshake(server_state=uvicorn.server.ServerState())
    account.leave(handshake)
    assert len(account) == 0
