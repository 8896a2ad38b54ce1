"""The gateway's own proof that the engine generates: traffic where there is some, else a one-token request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import orjson

from appliance import logs
from appliance.core import progress
from appliance.core.catalogue import Catalogue
from appliance.core.readiness import Readiness
from appliance.errors import ApplianceError, EngineFailed
from appliance.gateway.engine_client import EngineClient

_log = logs.get(__name__)
#: While the engine is not ready it is asked this often, so that service resumes at once.
RETRY_SECONDS = 1.0
#: An engine that works makes a token in this share of the interval: a second, by default.
WORKING_SHARE = 5


class Probe:
    """Keeps :attr:`catalogue` and the readiness true while the gateway runs.

    Args:
        engine: the client of the engine's socket.
        aliases: alias to model name.
        interval_seconds: how often an idle engine is asked.
        timeout_seconds: longest wait for its token.
        window_seconds: how long one proof keeps the gateway ready.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        engine: EngineClient,
        aliases: Mapping[str, str],
        *,
        interval_seconds: float,
        timeout_seconds: float,
        window_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.catalogue = Catalogue((), aliases)
        self._engine = engine
        self._interval = interval_seconds
        self._timeout = timeout_seconds
        self._clock = clock
        self._readiness = Readiness(window_seconds)
        self._was_ready = False
        #: Called when the engine has become ready: it may be another one than before.
        self.on_ready: Callable[[], None] = lambda: None
        self._hung = False
        self._doubt = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether a real generation succeeded within the window."""
        return self._readiness.is_ready(self._clock())

    @property
    def is_hung(self) -> bool:
        """Whether the engine takes requests but generates nothing: further ones would only wait."""
        return self._hung and not self.is_ready

    def generated(self) -> None:
        """A token came from the engine for an app."""
        self._hung = False
        self._readiness.generated(self._clock())

    def lost(self) -> None:
        """The engine's connection was refused or broke: not ready until it has proved itself again, which is asked for at once."""
        if self.is_ready:
            self._doubt.set()
        self._readiness.lost()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            if self._readiness.probe_due(self._clock(), self._interval):
                await self.ask()
            self._doubt.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval if self.is_ready else min(RETRY_SECONDS, self._interval)):
                    await self._doubt.wait()

    async def ask(self) -> None:
        """Ask for one token now and note what came of it."""
        try:
            self.catalogue = await self._models()
            await self._generate(self.catalogue.models[0].name if self.catalogue.models else "default")
        except ApplianceError as err:
            # A saturated engine may let a probe wait while it serves apps: their tokens are proof enough.
            if err.key == "engine_unavailable" or not self.is_ready:
                self._readiness.lost()
            self._hung = err.key == "engine_timeout"
            if self._hung and await self._is_working():
                self._hung = False
            self._note(err.key)
        else:
            self.generated()
            self._note("")

    async def prove(self) -> bool:
        """Ask for one token now; whether the engine is ready."""
        await self.ask()
        return self.is_ready

    async def _is_working(self) -> bool:
        """Whether the engine's counters move: with long answers that are not streamed no token passes here."""
        try:
            before = await self._counters()
            await asyncio.sleep(self._interval / WORKING_SHARE)
            after = await self._counters()
        except ApplianceError:
            return False
        if after[0] > before[0]:
            self.generated()
        return after != before

    async def _counters(self) -> tuple[float, ...]:
        status, body = await self._engine.fetch("GET", "/metrics", timeout_seconds=self._timeout)
        try:
            return progress.read(body.decode(errors="replace") if status == 200 else "")
        except ValueError:
            raise EngineFailed from None

    async def _models(self) -> Catalogue:
        status, body = await self._engine.fetch("GET", "/v1/models", timeout_seconds=self._timeout)
        if status >= 500:
            raise EngineFailed
        try:
            listing = orjson.loads(body) if status == 200 else None
        except orjson.JSONDecodeError:
            raise EngineFailed from None
        return Catalogue.from_engine(listing, self.catalogue.aliases)

    async def _generate(self, model: str) -> None:
        wanted = orjson.dumps({"model": model, "prompt": "1", "max_tokens": 1, "temperature": 0})
        status, body = await self._engine.fetch("POST", "/v1/completions", wanted, timeout_seconds=self._timeout)
        try:
            generated = status == 200 and orjson.loads(body)["usage"]["completion_tokens"] >= 1
        except (orjson.JSONDecodeError, KeyError, TypeError):
            generated = False
        if not generated:
            raise EngineFailed

    def _note(self, reason: str) -> None:
        """Log changes only: a line every few seconds would hide them."""
        ready = self.is_ready
        if ready and not self._was_ready:
            self.on_ready()
            _log.info("engine is ready", model=self.catalogue.models[0].name if self.catalogue.models else None)
        elif self._was_ready and not ready:
            _log.warning("engine is not ready", reason=reason)
        self._was_ready = ready
