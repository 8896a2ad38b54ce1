"""``appliance ready``: yes only for what really serves."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from appliance import settings as tree
from appliance.cli import ready
from tests.cli.foreground import free_port
from tests.engine import bundle
from tests.fakes.engine import FakeEngine

APP = typer.Typer()
APP.command()(ready.run)


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "SYSTEM_FILE", tmp_path / "absent.toml")
    monkeypatch.setattr(ready, "DEADLINE_SECONDS", 0.5)


@pytest.fixture
def answers() -> Iterator[tuple[int, list[str], list[int]]]:
    """A listener: its port, the paths it was asked for, and the status it answers with."""
    asked: list[str] = []
    status = [200]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], asked, status
        server.shutdown()
        thread.join()


def asked(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(APP, arguments)
    return result.exit_code, result.output.strip()


@pytest.mark.parametrize(
    ("process", "port", "path"), [("gateway", "GATEWAY", "/health/ready"), ("exporter", "EXPORTER", "/metrics")]
)
def test_listener_is_ready_when_it_answers_200(answers, monkeypatch, process, port, path) -> None:
    number, paths, status = answers
    monkeypatch.setenv(f"APPLIANCE_{port}__PORT", str(number))
    monkeypatch.setenv(f"APPLIANCE_{port}__HOST", "0.0.0.0")
    assert asked(process) == (0, f"{process} is ready")
    status[0] = 503
    assert asked(process) == (1, f"{process} is not ready")
    assert paths == [path, path]


@pytest.mark.parametrize("process", ["gateway", "exporter"])
def test_nobody_there_is_not_ready(monkeypatch, process) -> None:
    monkeypatch.setenv(f"APPLIANCE_{process.upper()}__PORT", str(free_port()))
    assert asked(process) == (1, f"{process} is not ready")


def test_gateway_is_asked_where_none_is_named(answers, monkeypatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__PORT", str(answers[0]))
    assert asked() == (0, "gateway is ready")


@pytest.mark.parametrize(
    ("mode", "ready"), [("normal", True), ("saturated", True), ("wedged", False), ("fails", False), ("garbage", False)]
)
def test_engine_is_ready_when_it_generates_for_anybody(state_dir, mode, ready) -> None:
    bundle.make(state_dir / "active")
    (state_dir / "run").mkdir()
    with FakeEngine(state_dir / "run" / "engine.sock") as engine:
        engine.mode = mode
        engine.metrics = b'vllm:generation_tokens_total{engine="0"} 1\n'
        assert asked("engine", "--state-dir", str(state_dir)) == (
            (0, "engine is ready") if ready else (1, "engine is not ready")
        )


def test_engine_is_not_ready_without_a_model_or_a_socket(state_dir) -> None:
    assert asked("engine", "--state-dir", str(state_dir))[0] == 1
    bundle.make(state_dir / "active")
    assert asked("engine", "--state-dir", str(state_dir))[0] == 1
    (state_dir / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:  # a socket file that nobody listens on
        bound.bind(str(state_dir / "run" / "engine.sock"))
        assert asked("engine", "--state-dir", str(state_dir))[0] == 1
