"""The privacy test finds what leaks, and nothing in an appliance that does not."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from appliance.errors import NotConclusive
from appliance.health.privacy import PrivacyTest, Report, Target
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import start


class Leaky(BaseHTTPRequestHandler):
    """A server with the careless lines that other gateways have had."""

    log_file: Path
    leak = "body"
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.write(body.decode(errors="replace") if self.leak == "body" else self.headers.get("x-request-id") or "")
        self.send_response(self.status)
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
    yield handler, Target("127.0.0.1", server.server_address[1], "key", state_dir, (tmp_path,), logs=())
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
            target = Target("127.0.0.1", gateway.port, gateway.key, state_dir, (tmp_path,), logs=())

            def tick(text: str, engine: FakeEngine = engine) -> None:
                if text.startswith("planting"):  # the first question was answered
                    engine.mode = mode

            report = PrivacyTest(target, time.time() - 1, tick).run("gpt-4o")
    assert report.finds == []
    assert report.searched["state directory"] > 0
    assert report.searched["command lines"] > 0
    answered = {"normal", "dies_in_stream"}  # what is not streamed is still answered by an engine that dies in streams
    assert (report.planted["a chat's message"] == 200) == (mode in answered)


def test_leak_into_a_directory_of_logs_is_found(leaky: tuple[type[Leaky], Target], tmp_path: Path) -> None:
    handler, target = leaky
    handler.log_file = tmp_path / "log" / "x.log"
    handler.log_file.parent.mkdir()
    report = run(replace(target, temporary=(), logs=(tmp_path / "log",)))
    assert report.searched["logs"] == 1
    assert str(handler.log_file) in {find.found for find in report.finds}


def test_leak_into_a_file_that_the_appliance_holds_open_is_found_wherever_it_is(
    leaky: tuple[type[Leaky], Target], tmp_path: Path
) -> None:
    handler, target = leaky
    handler.log_file = tmp_path / "elsewhere.log"
    with (target.state_dir / "keys").open("a"), handler.log_file.open("a"):  # as a gateway of this directory
        report = run(replace(target, temporary=()))
    name = f"{handler.log_file} (open in process {os.getpid()})"
    assert name in {find.found for find in report.finds}
    assert report.searched["other open files"] > 0


def test_a_file_is_read_once_by_whatever_names_it_is_found(
    leaky: tuple[type[Leaky], Target],
) -> None:
    _, target = leaky
    with (target.state_dir / "server.log").open("a"):
        finds = run(replace(target, temporary=(target.state_dir,), logs=(target.state_dir,))).finds
    assert {find.found for find in finds} == {str(target.state_dir / "server.log")}


def test_where_no_process_is_seen_the_report_says_so(leaky: tuple[type[Leaky], Target]) -> None:
    _, target = leaky
    assert any("sees no process of this state directory" in reason for reason in run(target).unread)


def test_appliance_that_does_not_run_is_not_conclusive(state_dir: Path) -> None:
    with pytest.raises(NotConclusive, match=r"Nobody listens on 127\.0\.0\.1 port 1,.*Start the appliance"):
        run(Target("127.0.0.1", 1, "key", state_dir))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "does not take a key of this state directory"),
        (404, r"gpt-4o does not answer \(status 404\)"),
        (503, r"gpt-4o does not answer \(status 503\)"),
    ],
)
def test_a_gateway_that_refuses_a_plain_question_is_not_conclusive(
    leaky: tuple[type[Leaky], Target], status: int, said: str
) -> None:
    handler, target = leaky
    handler.status = status
    with pytest.raises(NotConclusive, match=said):
        run(target)


def test_a_stopped_engine_is_not_conclusive(state_dir: Path, tmp_path: Path) -> None:
    with FakeEngine(state_dir / "engine.sock") as engine:
        for gateway in start(state_dir, engine):
            gateway.wait_ready()
            engine.mode = "dies_before_answer"
            with pytest.raises(NotConclusive, match=r"does not answer \(status 50[234]\)"):
                run(Target("127.0.0.1", gateway.port, gateway.key, state_dir, (tmp_path,), logs=()))


def test_a_page_of_metrics_counts_as_searched_only_if_it_was_shown(leaky: tuple[type[Leaky], Target]) -> None:
    _, target = leaky
    report = run(replace(target, metrics=(("127.0.0.1", target.port, "/metrics"),)))  # it knows no page
    assert report.searched["metrics"] == 0
    assert f"/metrics: port {target.port} answers with status 404" in report.unread
