"""Whatever bytes arrive at the port: no 500, no hang, and the next client is served."""

from __future__ import annotations

import json
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import CHAT, Gateway, start

#: Far over every time-out of the gateway under test (a second each): what takes longer hangs.
HANG_SECONDS = 15
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
BODY = json.dumps(CHAT).encode()
SEEDS = (
    b"GET /v1/models HTTP/1.1\r\nhost: box\r\nauthorization: Bearer KEY\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: box\r\nauthorization: Bearer KEY\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY),
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: box\r\nauthorization: Bearer KEY\r\ncontent-type: application/json\r\n"
    b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    b"GET /health/live HTTP/1.1\r\nhost: box\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
)
WORDS = (b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\xff", b"%00", b"0\r\n\r\n", b"chunked", b"{", b'"', b"[" * 200)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with (
        tempfile.TemporaryDirectory(prefix="appl-", dir="/tmp", ignore_cleanup_errors=True) as directory,
        FakeEngine(Path(directory) / "engine.sock") as engine,
    ):
        for running in start(Path(directory), engine):
            running.wait_ready()
            yield running


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A good request, or two in a row, with pieces cut out, doubled or put in."""
    wire = b"".join(draw(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(wire)))
        end = draw(st.integers(begin, min(len(wire), begin + 40)))
        piece = draw(st.sampled_from(WORDS) | st.binary(max_size=20))
        wire = draw(
            st.sampled_from((wire[:begin] + wire[end:], wire[:end] + wire[begin:], wire[:begin] + piece + wire[end:]))
        )
    return wire


@given(wire=st.binary(min_size=1, max_size=2000) | mangled(), pieces=st.integers(1, 3))
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_answered_or_dropped_but_never_a_500_or_a_hang(
    gateway: Gateway, wire: bytes, pieces: int
) -> None:
    wire = wire.replace(b"KEY", gateway.key.encode())
    answered = _exchange(gateway, wire, pieces)
    assert [status for status in STATUS.findall(answered) if status >= b"500"] == []
    assert answered == b"" or answered.startswith(b"HTTP/1.1 ")
    for secret in (b"Traceback", b"site-packages", gateway.key.encode()):
        assert secret not in answered


def test_after_all_that_the_gateway_serves(gateway: Gateway) -> None:
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=CHAT, headers=gateway.headers)
    assert answer.status_code == 200


def _exchange(gateway: Gateway, wire: bytes, pieces: int) -> bytes:
    """Send the bytes in some pieces, say goodbye, and read until the gateway closes."""
    answered = b""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=HANG_SECONDS) as connection:
        try:
            step = -(-len(wire) // pieces)
            for begin in range(0, len(wire), step):
                connection.sendall(wire[begin : begin + step])
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                answered += data
        except TimeoutError:
            pytest.fail("the gateway neither answers nor closes")
        except OSError:
            pass  # refused before all of it was sent
    return answered
