"""Gathers the evidence about one run of the engine until there is a verdict."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from appliance.core.liveness import Limits, Liveness, Phase
from appliance.engine import probe
from appliance.engine.probe import ProbeFailed

#: Pause after a probe that failed at once (nobody listens yet).
RETRY_SECONDS = 0.5
#: How often the counters are read while a probe waits, and the longest wait for them.
SAMPLE_SECONDS = 1.0
SAMPLE_TIMEOUT_SECONDS = 3.0
#: How often the verdict is looked at.
TICK_SECONDS = 0.25


class Watch:
    """Asks for tokens, reads counters while it waits, and feeds ``core.liveness``.

    Args:
        socket_path: the engine's Unix socket.
        model: its served name.
        limits: the longest waits.
        interval_seconds: pause between a good probe and the next.
        on_alive: called at every proof of life; its argument tells whether it is the first of this run.
    """

    def __init__(
        self,
        socket_path: Path,
        model: str,
        limits: Limits,
        interval_seconds: float,
        on_alive: Callable[[bool], None],
    ) -> None:
        self._socket_path = socket_path
        self._model = model
        self._limits = limits
        self._interval_seconds = interval_seconds
        self._on_alive = on_alive
        self.seen = Liveness(started_at=time.monotonic())

    async def verdict(self, exited: Callable[[], bool], stop: asyncio.Event) -> Phase:
        """Watch until the run is over or ``stop`` is set; what it came to."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask()), group.create_task(self._sample())]
            while True:
                if exited():
                    self.seen = self.seen.ended()
                phase = self.seen.phase(time.monotonic(), self._limits)
                if phase.is_over or stop.is_set():
                    break
                # Not wait_for: until Python 3.12 it can swallow a cancellation.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS):
                        await stop.wait()
            for task in tasks:
                task.cancel()
        return phase

    async def _ask(self) -> None:
        while True:
            self.seen = self.seen.probe_started(time.monotonic())
            try:
                await probe.generate(self._socket_path, self._model)
            except ProbeFailed:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            first = self.seen.first_token_at is None
            self.seen = self.seen.probe_succeeded(time.monotonic())
            self._on_alive(first)
            await asyncio.sleep(self._interval_seconds)

    async def _sample(self) -> None:
        """Counters matter only while a probe waits on an engine that has served before."""
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            if self.seen.asking_since is None or self.seen.first_token_at is None:
                continue
            try:
                async with asyncio.timeout(SAMPLE_TIMEOUT_SECONDS):
                    counters = await probe.counters(self._socket_path)
            except (ProbeFailed, TimeoutError):
                continue
            before = self.seen.alive_at
            self.seen = self.seen.sampled(time.monotonic(), counters)
            if self.seen.alive_at != before:
                self._on_alive(False)
