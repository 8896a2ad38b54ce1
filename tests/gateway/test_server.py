"""The process: its port, its log, its end."""

from __future__ import annotations

import json
import os
import re
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
from appliance.gateway.families import FAMILIES
from appliance.gateway.keystore import KeyStore
from appliance.gateway.server import bind
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import CHAT
from tests.promtool import complaints

pytestmark = pytest.mark.process

CANARY = "secret-of-a-pupil"


class Process:
    """``appliance gateway`` as it runs on a box."""

    def __init__(self, state_dir: Path, engine: FakeEngine, port: int) -> None:
        self.engine = engine
        _, self.key = KeyStore(state_dir / "keys.sqlite3").create("app", now=time.time())
        self.url = f"http://127.0.0.1:{port}"
        self.log = state_dir / "gateway.log"
        environment = {
            **os.environ,
            "APPLIANCE_GATEWAY__PORT": str(port),
            "APPLIANCE_ENGINE__SOCKET_PATH": str(engine.path),
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

    @property
    def admin_url(self) -> str:
        (listens,) = [line for line in self.lines() if line["event"] == "admin listens"]
        return f"http://127.0.0.1:{listens['port']}"

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
        running = Process(state_dir, engine, port)
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


def test_admin_listener_shows_every_documented_metric(process: Process) -> None:
    process.post(messages=[{"role": "user", "content": CANARY}], stream=True, user=CANARY)
    httpx.get(f"{process.url}/{CANARY}", headers={"authorization": f"Bearer {process.key}"})
    answer = httpx.get(f"{process.admin_url}/metrics")
    shown = {name: kind for _, _, name, kind in map(str.split, re.findall(r"^# TYPE .*", answer.text, re.MULTILINE))}
    assert shown == {family.name: family.kind for family in FAMILIES}
    assert complaints(answer.content) == []
    assert 'appliance_requests_total{app="app",code="200",route="/v1/chat/completions"} 1.0' in answer.text
    assert 'appliance_time_to_first_token_seconds_count{class="interactive"} 1.0' in answer.text
    assert "\nappliance_engine_ready 1.0\n" in answer.text
    assert CANARY not in answer.text
    assert process.key not in answer.text


def test_admin_listener_passes_the_engines_metrics_and_a_503_without_them(process: Process) -> None:
    line = b'vllm:num_requests_running{engine="0"} 0.0\n'
    process.engine.metrics = line
    assert httpx.get(f"{process.admin_url}/metrics/engine").content == line
    process.engine.stop()
    deadline = time.monotonic() + 10
    while (answer := httpx.get(f"{process.admin_url}/metrics/engine")).status_code == 200:
        assert time.monotonic() < deadline, "the last answer is given for a second only"
        time.sleep(0.05)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_unavailable")


def test_public_listener_has_no_metrics_and_admin_listener_nothing_public(process: Process) -> None:
    headers = {"authorization": f"Bearer {process.key}"}
    assert httpx.get(f"{process.url}/metrics", headers=headers).status_code == 404
    assert httpx.get(f"{process.admin_url}/v1/models", headers=headers).status_code == 404


@pytest.mark.parametrize("name", ["PORT", "ADMIN_PORT"])
def test_taken_port_stops_the_start_before_anything_is_made(state_dir: Path, name: str) -> None:
    variable = f"APPLIANCE_GATEWAY__{name}"
    with closing(socket.create_server(("127.0.0.1", 0))) as taken, closing(socket.create_server(("", 0))) as free:
        public, port = free.getsockname()[1], taken.getsockname()[1]
        free.close()
        environment = {**os.environ, "APPLIANCE_GATEWAY__PORT": str(public), variable: str(port)}
        started = subprocess.run(
            [sys.executable, "-m", "appliance", "gateway", "--state-dir", str(state_dir)],
            env=environment, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert started.returncode == PortTaken.exit_code
    assert started.stderr == (
        f"error: Port {port} is taken by another process. Stop that process, or choose another port with {variable}.\n"
    )
    assert list(state_dir.iterdir()) == []


def test_admin_listener_can_be_off(state_dir: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__ADMIN_HOST", "")
    with FakeEngine(state_dir / "engine.sock") as engine:
        running = Process(state_dir, engine, port)
        try:
            running.wait_ready()
            assert running.post().status_code == 200
            assert not [line for line in running.lines() if line["event"] == "admin listens"]
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(20) == 0
        finally:
            running.process.kill()
            running.process.wait()


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
