"""The way to change the model of a running engine: a Unix socket for its owner and root alone.

Whoever asks, the operator's command, says which installed bundle to load, in a
line of JSON, and is told in lines of JSON what happens. When the new model
serves, the asker tries it, points the link ``active`` at it if it is good, and
closes the connection. Then the link decides: the engine keeps the model that it
names, or goes back to the one before. So it does not matter at which moment the
asker dies. Until then the gateway lets new requests wait.

::

    asker   {"load": "/var/lib/appliance/bundles/tutor-2.0.0"}
    engine  {"step": "finishing"}
    engine  {"step": "serving", "model": "tutor", "seconds": 41.2}
    asker   (asks the golden questions, changes the link) {"done": true}
    engine  {"step": "settled", "model": "tutor", "kept": true}
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import logs
from appliance.engine.claim import Claim
from appliance.engine.supervisor import Plan, Supervisor
from appliance.errors import AlreadyRunning, ApplianceError, ModelUnusable

log = logs.get(__name__)

#: Of the asker, from the first token of the new model to its verdict.
VERDICT_SECONDS = 900.0
#: How long the gateway holds requests after the last sign of life of the engine's process.
HOLD_SECONDS = 20.0
#: From the connection to the order.
ORDER_SECONDS = 10.0
_MAX_LINE_BYTES = 65_536
_UMASK = 0o177


@dataclass(frozen=True)
class Terms:
    """What a change of models goes by.

    Args:
        control_path: where to listen.
        switching_path: the note to the gateway.
        active: the directory that the link names now, resolved; None if it names none.
        plan: the plan to serve a directory, after every check; raises ApplianceError.
    """

    control_path: Path
    switching_path: Path
    active: Callable[[], Path | None]
    plan: Callable[[Path], Plan]


class Control:
    """Listens for orders to change the model, one at a time.

    Args:
        terms: what a change goes by.
        supervisor: runs the engine.
        claim: on the engine's socket.
    """

    def __init__(self, terms: Terms, supervisor: Supervisor, claim: Claim) -> None:
        self._terms = terms
        self._supervisor = supervisor
        self._claim = claim
        self._busy = False

    async def run(self) -> None:
        """Listen until cancelled."""
        path = self._terms.control_path
        path.unlink(missing_ok=True)
        self._claim.let_requests_pass(self._terms.switching_path)
        before = os.umask(_UMASK)
        try:
            server = await asyncio.start_unix_server(self._on_connection, path, limit=_MAX_LINE_BYTES)
        finally:
            os.umask(before)
        try:
            await server.serve_forever()
        finally:
            path.unlink(missing_ok=True)
            self._claim.let_requests_pass(self._terms.switching_path)

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asker = _Asker(reader, writer)
        try:
            order = await asker.heard()
            if self._busy:
                raise AlreadyRunning("The engine is changing its model already.", remedy="Wait until that is done.")
            self._busy = True
            try:
                await self._change(Path(str(order.get("load", ""))), asker)
            finally:
                self._busy = False
        except ApplianceError as err:
            asker.tell(step="refused", key=err.key, message=err.message, remedy=err.remedy)
        finally:
            writer.close()

    async def _change(self, directory: Path, asker: _Asker) -> None:
        supervisor, terms = self._supervisor, self._terms
        before = supervisor.plan
        plan = await asyncio.to_thread(terms.plan, directory)
        began = time.monotonic()
        log.info("model changes", model=plan.model)
        holding = asyncio.create_task(self._hold())
        try:
            await asyncio.sleep(0)  # the note is there from here on
            asker.tell(step="finishing", model=before.model)
            try:
                await supervisor.change(plan, fallback=before)
            except ApplianceError as err:
                asker.tell(step="failed", key=err.key, message=err.message, remedy=err.remedy)
                await supervisor.serving()
            else:
                asker.tell(step="serving", model=plan.model, seconds=round(time.monotonic() - began, 1))
                await asker.verdict()
                if not self._is_active(directory):
                    log.error("model refused", model=plan.model)
                    asker.tell(step="returning", model=before.model)
                    await supervisor.change(before)
        finally:
            holding.cancel()
            self._claim.let_requests_pass(terms.switching_path)
        kept = supervisor.plan is plan
        seconds = round(time.monotonic() - began, 1)
        log.info("model settled", model=supervisor.plan.model, duration_seconds=seconds)
        asker.tell(step="settled", model=supervisor.plan.model, kept=kept, seconds=seconds)

    async def _hold(self) -> None:
        """Keep the note to the gateway alive until cancelled; should this process die, it ends by itself."""
        while True:
            self._claim.hold_requests(self._terms.switching_path, HOLD_SECONDS)
            await asyncio.sleep(HOLD_SECONDS / 4)

    def _is_active(self, directory: Path) -> bool:
        return self._terms.active() == directory.resolve()


class _Asker:
    """The other end. That it is gone is no failure: the link decides."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def tell(self, **words: Any) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(words).encode() + b"\n")

    async def heard(self) -> dict[str, Any]:
        """The order; an empty object where there is none."""
        try:
            async with asyncio.timeout(ORDER_SECONDS):
                line = json.loads(await self._reader.readline() or b"{}")
        except (TimeoutError, ValueError, OSError):
            line = None
        if not isinstance(line, dict):
            raise ModelUnusable("The order to the engine is not of the right form.")
        return line

    async def verdict(self) -> None:
        """Wait until the asker has decided, has gone, or has taken too long."""
        try:
            async with asyncio.timeout(VERDICT_SECONDS):
                await self._reader.readline()
        except (TimeoutError, ValueError, OSError):
            return
