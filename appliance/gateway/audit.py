"""The audit layer: no byte of an answer leaves before its request is on record.

A generation is recorded twice: ``open`` when it goes to the engine, on disk
before the answer's first byte goes out and written while the engine already
works; ``close`` when it is over. A power cut between the two leaves an open
record, which the next start closes as interrupted. What never reaches the
engine (a refusal, a listing) is one ``whole`` record, on disk before its
answer. Health routes are not recorded: they need no key, serve no data and
are asked every few seconds. Refused strangers are, up to a rate
(``core.strangers``), or they could fill the disk.

Not seen here: what is refused before there is a request (bad HTTP, oversized
headers) or by its Host header.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException

from appliance.core.audit_chain import CLOSE, OPEN, WHOLE, Record
from appliance.core.strangers import Strangers
from appliance.errors import ApplianceError, AuditUnavailable
from appliance.gateway import exchange
from appliance.gateway.asgi import ASGIApp, Message, Receive, Scope, Send
from appliance.gateway.exchange import Exchange
from appliance.gateway.failures import routing_error
from appliance.gateway.journal import Batch, Journal

# An engine that lists no models lets an app's own word for one pass: it stays out of the record if it is not a name.
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,95}")
_MAX_MODELS = 64
# A record is made twice a request: this way it takes a third of the time of Record(...).
_record = tuple.__new__


class Audit:
    """Record every request but those for open paths.

    Args:
        app: the layers inside.
        journal: the way to disk.
        open_paths: paths that are not recorded.
        clock: Unix seconds.
    """

    def __init__(
        self, app: ASGIApp, journal: Journal, open_paths: frozenset[str], clock: Callable[[], float] = time.time
    ) -> None:
        self.app = app
        self._journal = journal
        self._open_paths = open_paths
        self._clock = clock
        self._models: dict[str, str] = {}
        self._strangers = Strangers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record one request.

        Raises:
            AuditUnavailable: it cannot be recorded, and the settings require it; nothing was answered.
        """
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self.app(scope, receive, send)
            return
        self._journal.check()
        entry = _Entry(self, exchange.of(scope), scope["client"][0] if scope["client"] else "", send)
        try:
            await self.app(scope, receive, entry.send)
        except AuditUnavailable:
            raise
        except (ApplianceError, HTTPException) as err:
            await entry.fail(err)
            raise
        except asyncio.CancelledError:  # the gateway stops
            entry.finish("interrupted")
            raise
        finally:
            await entry.end()

    def append(self, entry: _Entry, kind: str, *, urgent: bool = True) -> Batch:
        """Put one of an entry's records on its way."""
        now = self._clock()
        if self._strangers.has_any:
            for record in self._strangers.flush(now):
                self._journal.append(record, urgent=False)
        return self._journal.append(entry.record(kind, int(now * 1000)), urgent=urgent)

    def is_noise(self, entry: _Entry) -> bool:
        """Whether a stranger's refusal is only counted."""
        return not self._strangers.admit(entry.record(WHOLE, int(self._clock() * 1000)))

    async def durable(self, batch: Batch) -> None:
        """As :meth:`Journal.durable`."""
        await self._journal.durable(batch)

    def is_void(self, batch: Batch) -> bool:
        """Whether the request was refused because its record was not written."""
        return batch.failed and self._journal.required

    def model_name(self, model: str) -> str:
        """The model as it is recorded."""
        name = self._models.get(model)
        if name is None:
            name = model if not model or _MODEL_NAME.fullmatch(model) else "(other)"
            if len(self._models) >= _MAX_MODELS:
                return "(other)"
            self._models[model] = name
        return name


class _Entry:
    """One request's records."""

    __slots__ = (
        "_address",
        "_audit",
        "_batch",
        "_error",
        "_is_open",
        "_outcome",
        "_passed",
        "_send",
        "_status",
        "_this",
    )

    def __init__(self, audit: Audit, this: Exchange, address: str, send: Send) -> None:
        self._audit = audit
        self._this = this
        self._address = address
        self._send = send
        self._batch: Batch | None = None
        self._is_open = self._passed = False
        self._status = 0
        self._outcome = self._error = ""
        this.on_engine = self.open

    def open(self) -> None:
        """The request goes to the engine."""
        self._batch = self._audit.append(self, OPEN)
        self._is_open = True

    async def send(self, message: Message) -> None:
        """Pass on, the first message only when the request is on record."""
        if not self._passed:
            self._status = message["status"]
            if self._batch is None:
                self._outcome = "answered" if self._status < 400 else "refused"
                self._batch = self._audit.append(self, WHOLE)
            await self._audit.durable(self._batch)
            self._passed = True
        await self._send(message)

    async def fail(self, err: ApplianceError | HTTPException) -> None:
        """It ended in a failure, of which nothing is said before it is on record."""
        if isinstance(err, ApplianceError):
            self._status, self._error = err.status, err.key
        else:
            answered = routing_error(err)
            self._status, self._error = answered.status, answered.key
        self.finish("failed" if self._status >= 500 else "refused")
        if self._batch is None and (self._this.app or not self._audit.is_noise(self)):
            self._batch = self._audit.append(self, WHOLE)
        if self._batch is not None and not self._passed:
            await self._audit.durable(self._batch)
        self._passed = True

    def finish(self, outcome: str) -> None:
        """Name what came of it, if nothing has yet."""
        self._outcome = self._outcome or outcome

    async def end(self) -> None:
        """It is over: close its record."""
        self._this.on_engine = None  # or the two would hold each other until the collector comes
        unsaid = not self._passed and not self._outcome and not self._this.cancelled
        if self._this.cancelled:
            self._outcome = "cancelled"
        elif unsaid:  # none of our own failures: the outermost layer answers 500
            self._status, self._error, self._outcome = 500, ApplianceError.key, "failed"
        self.finish("answered")
        if self._batch is None and (self._this.app or self._this.cancelled):
            self._batch = self._audit.append(self, WHOLE)
        if self._batch is not None and unsaid:
            await self._audit.durable(self._batch)
        if self._is_open and self._batch is not None and not self._audit.is_void(self._batch):
            self._audit.append(self, CLOSE, urgent=False)

    def record(self, kind: str, at_ms: int) -> Record:
        """The record as it stands."""
        this = self._this
        if kind == OPEN:
            return _record(Record, (
                OPEN, at_ms, this.request_id, this.key_id, this.app, self._address, this.method, this.route,
                self._audit.model_name(this.model), this.stream, 0, "", "", 0, 0, "", 0, 0, 1,
            ))  # fmt: skip
        usage = this.usage
        queue_ms = round(this.queue_seconds * 1000)
        return _record(Record, (
            kind, at_ms, this.request_id, this.key_id, this.app, self._address, this.method, this.route,
            self._audit.model_name(this.model), this.stream, self._status, self._outcome, self._error,
            usage.input_tokens if usage else 0,
            usage.output_tokens if usage else 0,
            usage.source if usage else "",
            queue_ms,
            max(0, round((time.monotonic() - this.engine_started) * 1000)) if this.engine_started else 0, 1,
        ))  # fmt: skip
