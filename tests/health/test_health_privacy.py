"""The privacy test finds what leaks, and nothing in an appliance that does not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from appliance.errors import EngineUnavailable
from appliance.health.privacy import PrivacyTest, Report, Target
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import start


class Leaky(BaseHTTPRequestHandler):
    """A server with the careless lines that other gateways have had."""

    log_file: Path
    leak = "body"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.write(body.decode(errors="replace") if self.leak == "body" else self.headers.get("x-request-id") or "")
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        self.write(self.path if self.leak == "path" else "")
        self.send_response(404)
        self.end_headers()

    do_DELETE = do_GET  # noqa: N815  the base class names them so

    def write(self, text: str) -> None:
        with self.log_file.open("a") as log:
            log.write(json.dumps({"seen": text[:5000]}) + "\n")

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def leaky(state_dir: Path, tmp_path: Path) -> Iterator[tuple[type[Leaky], Target]]:
    handler = type("Handler", (Leaky,), {"log_file": state_dir / "server.log"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, Target("127.0.0.1", server.server_address[1], "key", state_dir, (tmp_path,))
    server.shutdown()
    server.server_close()


def run(target: Target) -> Report:
    return PrivacyTest(target, time.time() - 1).run("gpt-4o")


@pytest.mark.parametrize(
    ("leak", "planted"), [("body", "a chat's message"), ("path", "a path that does not exist"), ("id", "a request id")]
)
def test_leak_into_a_log_is_found_and_its_route_named(
    leaky: tuple[type[Leaky], Target], leak: str, planted: str
) -> None:
    handler, target = leaky
    handler.leak = leak
    finds = run(target).finds
    assert (planted, str(target.state_dir / "server.log")) in {(find.planted, find.found) for find in finds}


def test_leak_into_a_temporary_file_is_found(leaky: tuple[type[Leaky], Target], tmp_path: Path) -> None:
    handler, target = leaky
    outside = tmp_path / "upload.tmp"
    handler.log_file = outside
    assert str(outside) in {find.found for find in run(target).finds}


@pytest.mark.parametrize("mode", ["normal", "dies_in_stream", "refuses", "fails", "dies_before_answer", "garbage_body"])
def test_gateway_leaves_no_word_on_the_box(state_dir: Path, tmp_path: Path, mode: str) -> None:
    with FakeEngine(state_dir / "engine.sock") as engine:
        for gateway in start(state_dir, engine):
            gateway.wait_ready()
            engine.mode = mode
            report = run(Target("127.0.0.1", gateway.port, gateway.key, state_dir, (tmp_path,)))
    assert report.finds == []
    assert report.searched["state directory"] > 0
    assert report.searched["command lines"] > 0
    answered = {"normal", "dies_in_stream"}  # what is not streamed is still answered by an engine that dies in streams
    assert (report.planted["a chat's message"] == 200) == (mode in answered)


def test_appliance_that_does_not_run_is_said(state_dir: Path) -> None:
    with pytest.raises(EngineUnavailable, match="does not answer"):
        run(Target("127.0.0.1", 1, "key", state_dir))
