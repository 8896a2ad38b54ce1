"""Waiting until an engine has finished what it was given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

from appliance.engine import drain

pytestmark = pytest.mark.anyio


class Metrics:
    """An engine's metrics: numbers of running requests, one a look; the last one stays."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.running = [0]
        self.looks = 0

    def next(self) -> int:
        self.looks += 1
        return self.running.pop(0) if len(self.running) > 1 else self.running[0]


@pytest.fixture
def metrics(state_dir) -> Iterator[Metrics]:
    told = Metrics(state_dir / "engine.sock")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"vllm:num_requests_running 0\nvllm:num_requests_waiting {told.next()}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingMixIn, UnixStreamServer):
        daemon_threads = True

        def get_request(self):
            request, _ = super().get_request()
            return request, ("engine", 0)

    with Server(str(told.path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(drain, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(drain, "POLL_SECONDS", 0.01)


async def test_idle_is_seen_twice_in_a_row(metrics):
    metrics.running = [2, 0, 1, 0, 0, 5]
    assert await drain.until_idle(metrics.path, 10, lambda: False)
    assert metrics.looks == 5


async def test_wait_is_bounded(metrics):
    metrics.running = [1]
    assert not await drain.until_idle(metrics.path, 0.1, lambda: False)


async def test_stop_in_between_ends_the_wait(metrics):
    metrics.running = [1]
    assert not await drain.until_idle(metrics.path, 30, lambda: metrics.looks > 2)


async def test_dead_engine_is_not_waited_for(state_dir):
    assert not await drain.until_idle(state_dir / "nothing.sock", 30, lambda: False)
