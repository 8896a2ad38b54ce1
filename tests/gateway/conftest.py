"""A real gateway on a real port before a fake engine on a real Unix socket."""

from __future__ import annotations

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

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(**{"base_url": self.url, "headers": self.headers, "timeout": 10, **options})

    def chat(self, **fields: Any) -> httpx.Response:
        """One chat completion with the given fields over the usual ones."""
        with self.client() as client:
            return client.post("/v1/chat/completions", json={**CHAT, **fields})

    def wait_ready(self, ready: bool = True) -> None:
        deadline = time.monotonic() + 10
        with self.client() as client:
            while (client.get("/health/ready").status_code == 200) != ready:
                assert time.monotonic() < deadline, "the gateway's readiness did not change"


CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "47 + 38 = 75?"}]}


def start(state_dir: Path, engine: FakeEngine, **gateway_settings: Any) -> Iterator[Gateway]:
    settings = Settings(
        state_dir=state_dir,
        gateway={"port": 1, **QUICK, **gateway_settings},
        engine={"socket_path": engine.path},
    )
    store = KeyStore(settings.key_database_path)
    record, key = store.create("homework-app", now=time.time())
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(configure(settings, compose(settings)))
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="gateway", daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    running = Gateway(url, key, record.key_id, settings, engine, store, server)
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
    with FakeEngine(state_dir / "engine.sock") as running:
        yield running


@pytest.fixture
def gateway(state_dir: Path, engine: FakeEngine) -> Iterator[Gateway]:
    """A gateway that has seen its engine generate."""
    for running in start(state_dir, engine):
        running.wait_ready()
        yield running
