"""A real gateway on a real port before a fake engine on a real Unix socket."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from appliance.gateway.app import compose
from appliance.gateway.keystore import KeyStore
from appliance.gateway.metrics import Metrics
from appliance.gateway.server import bind, configure
from appliance.settings import Settings
from tests.fakes.engine import FakeEngine

#: Short, so that no test waits for a clock; a test that needs longer ones says so.
QUICK = {
    "probe_interval_seconds": 0.05,
    "probe_timeout_seconds": 0.5,
    "ready_window_seconds": 2.0,
    "engine_connect_timeout_seconds": 1.0,
    "engine_first_byte_timeout_seconds": 1.0,
    "engine_idle_timeout_seconds": 1.0,
    "body_timeout_seconds": 1.0,
    "shutdown_grace_seconds": 1,
}


@dataclass
class Gateway:
    """A running gateway."""

    url: str
    key: str
    key_id: str
    settings: Settings
    engine: FakeEngine
    store: KeyStore
    server: uvicorn.Server
    metrics: Metrics

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def client(self, **options: Any) -> httpx.Client:
        # Plain HTTP: without the certificates, which take 30 ms to read.
        usual = {"base_url": self.url, "headers": self.headers, "timeout": 10, "verify": False}
        return httpx.Client(**{**usual, **options})

    def chat(self, **fields: Any) -> httpx.Response:
        """One chat completion with the given fields over the usual ones."""
        with self.client() as client:
            return client.post("/v1/chat/completions", json={**CHAT, **fields})

    def wait_ready(self, ready: bool = True) -> None:
        deadline = time.monotonic() + 10
        with self.client() as client:
            while (client.get("/health/ready").status_code == 200) != ready:
                assert time.monotonic() < deadline, "the gateway's readiness did not change"
                time.sleep(0.005)

    def reset(self) -> None:
        """Forget the last test: whatever it left running is ended, and the gateway has seen a generation since."""
        disturbed = self.engine.reset()
        record, self.key = self.store.create("homework-app", now=time.time())
        self.key_id = record.key_id
        if disturbed:  # a probe that met the old engine may still be about to say so
            assert self.engine.wait_for_probes(1), "the gateway does not ask the engine any more"
        self.wait_ready()


CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "47 + 38 = 75?"}]}


def start(
    state_dir: Path, engine: FakeEngine, audit: dict[str, Any] | None = None, **gateway_settings: Any
) -> Iterator[Gateway]:
    settings = Settings(
        state_dir=state_dir,
        audit=audit or {},
        gateway={"port": 1, **QUICK, **gateway_settings},
        engine={"socket_path": engine.path},
    )
    store = KeyStore(settings.key_database_path)
    record, key = store.create("homework-app", now=time.time())
    listener = bind("127.0.0.1", 0)
    metrics = Metrics()
    server = uvicorn.Server(configure(settings, compose(settings, metrics), metrics))
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="gateway", daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    running = Gateway(url, key, record.key_id, settings, engine, store, server, metrics)
    try:
        deadline = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive(), "the gateway did not start"
            assert time.monotonic() < deadline, "the gateway did not start in time"
            time.sleep(0.005)
        yield running
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def engine(state_dir: Path) -> Iterator[FakeEngine]:
    """An engine of this test's own, for a gateway that it starts itself."""
    with FakeEngine(state_dir / "engine.sock") as running:
        yield running


@pytest.fixture(scope="module")
def shared_gateway() -> Iterator[Gateway]:
    """One gateway and engine a module: a start costs a third of a second."""
    with tempfile.TemporaryDirectory(prefix="appl-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        state_dir = Path(directory)
        with FakeEngine(state_dir / "engine.sock") as running:
            yield from start(state_dir, running)


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    """The module's gateway as if new: its engine healthy and unused, a key of this test's own, ready."""
    shared_gateway.reset()
    return shared_gateway
