"""The gateway, composed: read it top to bottom and you have a request's life."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import get_args

from fastapi import FastAPI

import appliance
from appliance.core.admission import Priority
from appliance.gateway.admission import Admission
from appliance.gateway.asgi import ASGIApp, Receive, Scope, Send
from appliance.gateway.audit import Audit
from appliance.gateway.authentication import Authenticate
from appliance.gateway.cache_salt import CacheSalt
from appliance.gateway.day_use import DayUse
from appliance.gateway.engine_client import EngineClient
from appliance.gateway.failures import Failures
from appliance.gateway.hold import Hold
from appliance.gateway.hosts import TrustedHosts
from appliance.gateway.journal import Journal
from appliance.gateway.keyring import KeyRing
from appliance.gateway.limits import Limit
from appliance.gateway.metrics import Metrics
from appliance.gateway.operations import OPEN_PATHS, label
from appliance.gateway.readiness import Probe
from appliance.gateway.relay import Relay
from appliance.gateway.routes import Routes
from appliance.settings import Settings


def compose(settings: Settings, metrics: Metrics | None = None) -> ASGIApp:
    """The public listener's application.

    Args:
        settings: the whole tree; its engine socket may appear later.
        metrics: count what happens.
    """
    metrics = metrics or Metrics()
    gateway = settings.gateway
    engine = EngineClient(
        settings.socket_path,
        connect_timeout_seconds=gateway.engine_connect_timeout_seconds,
        first_byte_timeout_seconds=gateway.engine_first_byte_timeout_seconds,
        idle_timeout_seconds=gateway.engine_idle_timeout_seconds,
    )
    probe = Probe(
        engine,
        gateway.aliases,
        interval_seconds=gateway.probe_interval_seconds,
        timeout_seconds=gateway.probe_timeout_seconds,
        window_seconds=gateway.ready_window_seconds,
    )
    admission = Admission(gateway, settings.sequences_path, is_hung=lambda: probe.is_hung)
    probe.on_ready = admission.engine_started
    keys = KeyRing(settings.key_database_path)
    use = DayUse(settings.limit_database_path)
    relay = Relay(engine, probe, admission, CacheSalt(secrets.token_bytes(32)), metrics)
    journal = Journal(
        settings.record_database_path,
        required=settings.audit.required,
        retention_days=settings.audit.retention_days,
    )
    hold = Hold(
        settings.switching_path,
        most=gateway.max_waiting_requests,
        deadline_seconds=gateway.switch_deadline_seconds,
        prove=probe.prove,
    )
    routes = Routes(gateway, relay, probe, hold, can_record=lambda: journal.is_writable or not journal.required)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        journal.start()
        watching = asyncio.create_task(probe.run())
        writing = asyncio.create_task(use.run())
        holding = asyncio.create_task(hold.run())
        try:
            yield
        finally:
            for task in (watching, writing, holding):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await asyncio.to_thread(use.flush)
            await journal.close()
            engine.close()
            keys.close()

    layers: ASGIApp = _Router(routes, lifespan)
    layers = Limit(layers, use)
    layers = Authenticate(layers, keys, OPEN_PATHS)
    layers = Audit(layers, journal, OPEN_PATHS)
    layers = TrustedHosts(layers, gateway.allowed_hosts)
    _watch(metrics, settings, admission, probe, keys, journal)
    return Failures(layers, label, metrics)


def _watch(
    metrics: Metrics, settings: Settings, admission: Admission, probe: Probe, keys: KeyRing, journal: Journal
) -> None:
    """Have the state of the parts shown beside what is counted."""

    def keys_are_readable() -> bool:
        keys.refresh()
        return keys.is_readable

    metrics.watch(
        queue_depth=lambda: {(name,): admission.waiting_in(name) for name in get_args(Priority)},
        queue_limit=lambda: settings.gateway.max_waiting_requests,
        engine_slots=lambda: admission.slots,
        engine_slots_used=lambda: admission.running,
        engine_ready=lambda: probe.is_ready,
        engine_hung=lambda: probe.is_hung,
        audit_writable=lambda: journal.is_writable,
        audit_commits_total=lambda: journal.commits,
        key_database_readable=keys_are_readable,
        keys_lost=lambda: len(keys.lost),
    )
    if settings.energy.won_per_kwh:
        metrics.watch(electricity_price_won_per_kwh=lambda: settings.energy.won_per_kwh)


class _Router(FastAPI):
    """FastAPI as the router, without its own middleware.

    Its error middleware answers in a form of its own; here every exception
    travels out to ``Failures``.
    """

    def __init__(self, routes: Routes, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> None:
        super().__init__(
            title="On-premise inference appliance",
            version=appliance.__version__,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            lifespan=lifespan,
        )
        self._fixed = routes.add_to(self.router)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request: fixed paths by a look-up, the rest and every refusal by FastAPI."""
        endpoint = self._fixed.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        await (endpoint or super().__call__)(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        return self.router
