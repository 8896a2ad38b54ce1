"""Connections: how many, and how long a client may take nothing of its answer."""

from __future__ import annotations

import json
import resource
import socket
from pathlib import Path

import pytest

from appliance.gateway import server
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import CHAT, start

GET = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"


def test_request_on_a_connection_too_many_is_503_and_the_others_go_on(state_dir: Path, engine: FakeEngine) -> None:
    for gateway in start(state_dir, engine, max_connections=2):
        held = [socket.create_connection(("127.0.0.1", gateway.port), timeout=10) for _ in range(3)]
        answers = []
        for raw in held:
            raw.sendall(GET)
            answers.append(raw.recv(65_536))
            if b" 503 " in answers[-1]:  # it is closed with that, and the others have the room
                assert raw.recv(1) == b""
        assert sorted(answer[:12] for answer in answers) == [b"HTTP/1.1 200", b"HTTP/1.1 200", b"HTTP/1.1 503"]
        refusal = next(answer for answer in answers if b" 503 " in answer)
        assert b"retry-after: 1\r\n" in refusal
        assert json.loads(refusal.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_many_connections"
        for raw in held:
            raw.close()


def test_far_too_many_connections_are_cut_off_unheard(state_dir: Path, engine: FakeEngine) -> None:
    for gateway in start(state_dir, engine, max_connections=2):
        held = [socket.create_connection(("127.0.0.1", gateway.port), timeout=10) for _ in range(4)]
        cut = 0
        for raw in held:
            raw.settimeout(0.5)
            try:
                cut += raw.recv(1) == b""
            except TimeoutError:
                pass
            except ConnectionResetError:
                cut += 1
            raw.close()
        assert cut == 1


def test_client_that_takes_nothing_of_its_answer_loses_its_slot(state_dir: Path, engine: FakeEngine) -> None:
    for gateway in start(state_dir, engine, max_running_requests=1, write_timeout_seconds=0.2):
        gateway.wait_ready()
        engine.tokens = 100_000
        body = json.dumps({**CHAT, "stream": True}).encode()
        with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
            raw.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                + f"authorization: Bearer {gateway.key}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            assert engine.wait_for_generations(1)
            assert gateway.chat(max_tokens=1).status_code == 200


@pytest.mark.parametrize(("wanted", "hard", "affordable"), [(100, 10_000, 100), (4096, 2048, 853), (4096, 100, 1)])
def test_connections_fit_the_file_descriptors(
    monkeypatch: pytest.MonkeyPatch, wanted: int, hard: int, affordable: int
) -> None:
    limits = [(min(hard, 64), hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    assert server._affordable_connections(wanted) == affordable
    assert limits[-1][0] <= hard
