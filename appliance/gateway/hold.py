"""Requests wait while the engine changes its model, instead of failing.

The engine's process leaves a note beside its socket for as long as that takes.
Only newcomers wait here, before their model's name is looked up: what was
accepted before goes to the old engine, which finishes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from appliance import logs
from appliance.errors import EngineBusy, EngineUnavailable

_log = logs.get(__name__)
#: The engine's process waits several times as long before it takes the old engine for idle.
POLL_SECONDS = 0.1
#: From the end of the change: longest wait for the gateway's own proof of the new engine, and between two tries.
PROOF_SECONDS = 10.0
RETRY_SECONDS = 0.25


class Hold:
    """Whether requests wait, and who does.

    Args:
        note: where the engine's process says so: a time of the system's monotonic clock until which it holds at most.
        most: most requests that wait; further ones get 429.
        deadline_seconds: longest wait of one; then 503.
        prove: has the new engine generate; whether it did.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        note: Path,
        *,
        most: int,
        deadline_seconds: float,
        prove: Callable[[], Awaitable[bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: Looked at by every request: true while they wait.
        self.is_on = False
        self.waiting = 0
        self._note = note
        self._most = most
        self._deadline_seconds = deadline_seconds
        self._prove = prove
        self._clock = clock
        self._over = asyncio.Event()

    async def passed(self) -> None:
        """Wait until the change is over.

        Raises:
            EngineBusy: too many wait already.
            EngineUnavailable: it takes too long.
        """
        if self.waiting >= self._most:
            raise EngineBusy(
                "The model is being changed, and too many requests wait already.", headers={"retry-after": "30"}
            )
        self.waiting += 1
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._over.wait()
        except TimeoutError:
            raise EngineUnavailable(
                "The model is being changed, and that takes too long.", headers={"retry-after": "30"}
            ) from None
        finally:
            self.waiting -= 1

    async def run(self) -> None:
        """Follow the note until cancelled."""
        while True:
            noted = self._is_noted()
            if noted and not self.is_on:
                self._over.clear()
                self.is_on = True
                _log.info("requests wait for another model")
            elif self.is_on and not noted:
                await self._end()
            await asyncio.sleep(POLL_SECONDS)

    async def _end(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PROOF_SECONDS):
                while True:
                    if await self._prove():
                        break
                    await asyncio.sleep(RETRY_SECONDS)
        _log.info("requests pass to the model", count=self.waiting)
        self.is_on = False
        self._over.set()

    def _is_noted(self) -> bool:
        try:
            return self._clock() < float(self._note.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return False
