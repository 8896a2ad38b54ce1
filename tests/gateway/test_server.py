"""The process: its port, its log, its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from appliance.errors import PortTaken, SettingsInvalid
from appliance.gateway.keystore import KeyStore
from appliance.gateway.server import bind
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import CHAT

pytestmark = pytest.mark.process

CANARY = "secret-of-a-pupil"


class Process:
    """``appliance gateway`` as it runs on a box."""

    def __init__(self, state_dir: Path, socket_path: Path, port: int) -> None:
        _, self.key = KeyStore(state_dir / "keys.sqlite3").create("app", now=time.time())
        self.url = f"http://127.0.0.1:{port}"
        self.log = state_dir / "gateway.log"
        environment = {
            **os.environ,
            "APPLIANCE_GATEWAY__PORT": str(port),
            "APPLIANCE_ENGINE__SOCKET_PATH": str(socket_path),
            "APPLIANCE_GATEWAY__SHUTDOWN_GRACE_SECONDS": "5",
            "APPLIANCE_LOG__LEVEL": "debug",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "appliance", "gateway", "--state-dir", str(state_dir)],
                stderr=log,
                env=environment,
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/health/ready").status_code == 200:
                    return
            except httpx.ConnectError:
                time.sleep(0.02)

    def post(self, **fields: object) -> httpx.Response:
        return httpx.post(
            f"{self.url}/v1/chat/completions",
            json={**CHAT, **fields},
            headers={"authorization": f"Bearer {self.key}"},
        )

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        number: int = taken.getsockname()[1]
    return number


@pytest.fixture
def process(state_dir: Path, port: int) -> Iterator[Process]:
    with FakeEngine(state_dir / "engine.sock") as engine:
        running = Process(state_dir, engine.path, port)
        try:
            running.wait_ready()
            yield running
        finally:
            running.process.kill()
            running.process.wait()


def test_log_is_json_without_content_or_key(process: Process) -> None:
    process.post(messages=[{"role": "user", "content": CANARY}])
    httpx.get(f"{process.url}/{CANARY}", headers={"authorization": f"Bearer {process.key}"})
    process.post(messages=CANARY)
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(20) == 0
    requests = [line for line in process.lines() if line["event"] == "request" and line["route"] != "/health/ready"]
    assert [line["route"] for line in requests] == ["/v1/chat/completions", "(unknown)", "/v1/chat/completions"]
    assert [line["status"] for line in requests] == [200, 404, 400]
    whole = process.log.read_text()
    assert CANARY not in whole
    assert process.key not in whole
    assert process.key[-43:] not in whole


def test_sigterm_lets_a_running_stream_finish(process: Process) -> None:
    with httpx.stream(
        "POST",
        f"{process.url}/v1/chat/completions",
        json={**CHAT, "stream": True},
        headers={"authorization": f"Bearer {process.key}"},
    ) as response:
        process.process.send_signal(signal.SIGTERM)
        assert response.read().endswith(b"data: [DONE]\n\n")
    assert process.process.wait(20) == 0


def test_taken_port_is_one_line_with_the_remedy(process: Process, state_dir: Path, port: int) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "appliance", "gateway", "--state-dir", str(state_dir)],
        env={**os.environ, "APPLIANCE_GATEWAY__PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == PortTaken.exit_code
    assert second.stderr.count("\n") == 1
    assert "APPLIANCE_GATEWAY__PORT" in second.stderr
    assert str(port) in second.stderr


def test_port_that_somebody_listens_on_is_refused() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken, pytest.raises(PortTaken):
        bind("127.0.0.1", taken.getsockname()[1])


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match=r"gateway\.host"):
        bind("203.0.113.1", 8080)
