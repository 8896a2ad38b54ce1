"""The admin listener's application: two pages, our own hosts, failures in the usual form."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from appliance.gateway import admin
from appliance.gateway.engine_metrics import EngineMetrics
from appliance.gateway.exposition import Exposition
from appliance.gateway.metrics import Metrics
from tests.fakes.engine import FakeEngine

pytestmark = pytest.mark.anyio

OWN = b'vllm:num_requests_running{engine="0"} 3.0\n'


@pytest.fixture
def app(engine: FakeEngine) -> Any:
    return admin.compose(Exposition(Metrics()), EngineMetrics(engine.path, fresh_seconds=0.0), ("box.example",))


async def ask(
    app: Any, path: str, method: str = "GET", hosts: tuple[bytes, ...] = (b"127.0.0.1:8081",)
) -> tuple[int, dict[bytes, bytes], bytes]:
    """One request straight into the application: status, headers, body."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"host", host) for host in hosts]
    await app({"type": "http", "method": method, "path": path, "headers": headers, "client": None}, receive, send)
    start, *rest = sent
    return start["status"], dict(start["headers"]), b"".join(message["body"] for message in rest)


def code(body: bytes) -> str:
    found: str = json.loads(body)["error"]["code"]
    return found


async def test_metrics_need_no_key_and_are_prometheus_text(app: Any) -> None:
    status, headers, body = await ask(app, "/metrics")
    assert (status, headers[b"content-type"]) == (200, b"text/plain; version=0.0.4; charset=utf-8")
    assert b"\nappliance_requests_open 0.0\n" in body
    assert b"\nappliance_build_info{" in body


async def test_engines_metrics_pass_and_their_absence_is_a_503_in_the_error_form(app: Any, engine: FakeEngine) -> None:
    status, _, body = await ask(app, "/metrics/engine")
    assert (status, code(body)) == (503, "engine_unavailable")
    engine.metrics = OWN
    status, headers, body = await ask(app, "/metrics/engine")
    assert (status, body, headers[b"content-type"]) == (200, OWN, b"text/plain; version=0.0.4; charset=utf-8")


@pytest.mark.parametrize(
    "path", ["/", "/metrics/", "/metrics/engine/", "/v1/models", "/health/live", "/admin/keys", "/METRICS", ""]
)
async def test_nothing_else_exists(app: Any, path: str) -> None:
    status, _, body = await ask(app, path)
    assert (status, code(body)) == (404, "unknown_url")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "secret-of-a-pupil"])
async def test_pages_are_only_read(app: Any, method: str) -> None:
    status, headers, _ = await ask(app, "/metrics", method)
    assert (status, headers[b"allow"]) == (405, b"GET")


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST:8081", "127.0.0.1", "127.0.0.1:8081", "[::1]:8081", "[::1]", "192.0.2.7:8081",
        "box.example", "box.example:8081", f"{socket.gethostname()}:8081",
    ],
)  # fmt: skip
async def test_own_names_and_addresses_are_answered(app: Any, host: str) -> None:
    assert (await ask(app, "/metrics", hosts=(host.encode(),)))[0] == 200


@pytest.mark.parametrize(
    "hosts",
    [
        (b"evil.example",), (b"evil.example:8081",), (b"127.0.0.1.evil.example",), (b"localhost.evil.example",),
        (b"127.0.0.1:8081@evil.example",), (b"127.0.0.1:x",), (b"2130706433",), (b"[evil.example]",), (b"[::1",),
        (b"",), (b"*",), (), (b"127.0.0.1", b"evil.example"),
    ],
)  # fmt: skip
async def test_name_that_a_web_page_could_point_here_is_refused(app: Any, hosts: tuple[bytes, ...]) -> None:
    status, _, body = await ask(app, "/metrics", hosts=hosts)
    assert (status, code(body)) == (421, "untrusted_host")


@pytest.mark.parametrize(
    ("path", "name"), [("/metrics", "/metrics"), ("/metrics/engine", "/metrics/engine"), ("/secret", "(unknown)")]
)
def test_log_names_a_page_and_never_what_a_client_wrote(path: str, name: str) -> None:
    assert admin.label(path) == name
