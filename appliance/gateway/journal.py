"""Records on their way to disk: many requests share one commit, in a thread of its own.

The event loop collects records into a batch; the thread writes one batch at a
time (``record_store``), so that whatever arrives during a commit shares the
next. The loop pays a list append a record and one wake-up a batch.

While the database cannot be written, :attr:`Journal.is_writable` is false and
one attempt a second is made. Records whose requests were answered are kept
until then; a note in the chain says how many others there were.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from appliance import logs
from appliance.core.audit_chain import CLOSE, EVENT, Mark, Record
from appliance.core.believed_time import PROBATION_MS, BelievedTime
from appliance.errors import AuditUnavailable
from appliance.gateway.record_store import RecordStore

_log = logs.get(__name__)
#: A record nobody waits for goes with the next commit, or after this long.
LAZY_SECONDS = 0.05
RETRY_SECONDS = 1.0
#: A commit that takes longer has failed for those who wait for it: a disk that hangs must not hang them.
COMMIT_TIMEOUT_SECONDS = 10.0
#: Records kept in memory while the database cannot be written.
MAX_KEPT = 20_000
#: How often old records are removed and the head goes to the log.
UPKEEP_SECONDS = 3600.0
_DAY_MS = 86_400_000
_AHEAD = f"Set the clock. If it is right, nothing is to be done: it is believed after {PROBATION_MS // _DAY_MS} days."


class Batch:
    """Records that are written together.

    Attributes:
        done: whether its commit ended, well or not.
        failed: whether it ended badly; nothing of the batch is on disk.
    """

    __slots__ = ("done", "failed", "records", "urgent", "waiters")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.waiters: list[asyncio.Future[None]] = []
        self.urgent = self.done = self.failed = False

    def end(self, *, failed: bool) -> None:
        """Wake all who wait."""
        if self.done:
            return
        self.done, self.failed = True, failed
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)


class Journal:
    """The way to the audit for everything in the gateway. All methods belong to the event loop's thread.

    Args:
        path: the database.
        required: whether a record that cannot be written refuses its request.
        retention_days: how long records are kept.
        clock: Unix seconds.
    """

    def __init__(
        self, path: Path, *, required: bool, retention_days: int, clock: Callable[[], float] = time.time
    ) -> None:
        self.is_writable = True
        self.required = required
        #: Transactions so far, for tests and metrics.
        self.commits = 0
        self._clock = clock
        self._filling: Batch | None = None
        self._writing: Batch | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._handing = False
        self._kept: list[Record] = []
        self._lost = self._lost_noted = 0
        self._idle: asyncio.Future[None] | None = None
        self._closed = True
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._writer = _Writer(path, retention_days, clock)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the database in the writing thread, note the start, close what a crash left open."""
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()
        self.event("gateway started")

    def append(self, record: Record, *, urgent: bool = True) -> Batch:
        """Put a record on its way.

        Args:
            record: what is to be written.
            urgent: whether somebody will wait for it (:meth:`durable`).
        """
        if self._closed or not self.is_writable:
            return self._keep(record)
        batch = self._filling
        if batch is None:
            batch = self._filling = Batch()
        batch.records.append(record)
        if urgent:
            batch.urgent = True
            if self._writing is None and not self._handing:
                # At the end of this turn of the loop, so that what the turn still brings comes along.
                self._handing = True
                self._loop.call_soon(self._hand_over)
        elif self._timer is None:
            self._timer = self._loop.call_later(LAZY_SECONDS, self._hand_over)
        return batch

    async def durable(self, batch: Batch) -> None:
        """Wait until a batch is on disk.

        Raises:
            AuditUnavailable: it is not, and the settings require it.
        """
        if not batch.done:
            waiter = self._loop.create_future()
            batch.waiters.append(waiter)
            await waiter
        if batch.failed and self.required:
            raise AuditUnavailable(headers={"retry-after": "2"})

    def check(self) -> None:
        """Raise AuditUnavailable while nothing can be recorded and the settings require it."""
        if not self.is_writable and self.required:
            self._lost += 1
            raise AuditUnavailable(headers={"retry-after": "2"})

    def event(self, name: str, *, who: str = "appliance", address: str = "", outcome: str = "done") -> Batch:
        """Record something that is not a request, such as a log-in (``outcome`` ``done`` or ``refused``)."""
        return self.append(event_record(name, self._clock(), who=who, address=address, outcome=outcome))

    async def close(self) -> None:
        """Note the stop, write what is left, close the database."""
        if self._thread is None or self._closed:
            return
        self.event("gateway stopped")
        if not self.is_writable:
            self._retry()
        with suppress(TimeoutError):  # a disk that hangs
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
                while self._writing is not None or self._filling is not None:
                    self._idle = self._loop.create_future()
                    self._hand_over()
                    await self._idle
        self._closed = True
        for timer in (self._timer, self._deadline):
            if timer is not None:
                timer.cancel()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, COMMIT_TIMEOUT_SECONDS)
        if self._kept or self._lost:
            _log.error("audit records lost", count=len(self._kept) + self._lost)

    def _keep(self, record: Record) -> Batch:
        """While nothing can be written: keep what belongs to an answered request, or count it."""
        batch = Batch()
        batch.end(failed=True)
        if len(self._kept) < MAX_KEPT and (not self.required or record.kind in {CLOSE, EVENT}):
            self._kept.append(record)
        else:
            self._lost += 1
        return batch

    def _hand_over(self) -> None:
        self._handing = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None or self._filling is None:
            return
        batch, self._filling = self._filling, None
        self._writing = batch
        self._deadline = self._loop.call_later(COMMIT_TIMEOUT_SECONDS, self._stuck)
        self._queue.put(batch)

    def _stuck(self) -> None:
        """The disk hangs: whoever waits is refused; the thread may still come back."""
        if self._writing is not None:
            self._writing.end(failed=True)
            self._fail("timeout", [])

    def _committed(self, batch: Batch, error: str, head: Mark | None) -> None:
        """The thread is done with a batch; on the loop."""
        self.commits += 1
        self._writing = None
        if self._deadline is not None:
            self._deadline.cancel()
        if error:
            batch.end(failed=True)
            self._fail(error, batch.records)
        else:
            batch.end(failed=False)
            if not self.is_writable:
                self._resume()
        if head is not None:
            _log.info("audit head", code=str(head))
        if self._filling is not None and (self._filling.urgent or self._idle is not None):
            self._hand_over()
        elif self._filling is not None and self._timer is None:
            self._timer = self._loop.call_later(LAZY_SECONDS, self._hand_over)
        elif self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _fail(self, error: str, records: list[Record]) -> None:
        if self.is_writable:
            _log.error("audit cannot be written", error=error, remedy=AuditUnavailable.remedy)
            self.is_writable = False
        if self._filling is not None:
            # What was to go next waits for better times with the rest.
            records = [*records, *self._filling.records]
            self._filling.end(failed=True)
            self._filling = None
        for record in records:
            if record.route != _RESUMED:
                self._keep(record)
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        if not self._closed:
            self._loop.call_later(RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        if self._closed or self.is_writable or self._writing is not None:
            return
        batch = self._writing = Batch()
        self._lost_noted = self._lost
        batch.records, self._kept = [*self._kept, self._note_of_lost(self._lost)], []
        self._queue.put(batch)

    def _resume(self) -> None:
        _log.info("audit can be written again", count=self._lost)
        self.is_writable = True
        since, kept = self._lost - self._lost_noted, self._kept
        self._lost = self._lost_noted = 0
        self._kept = []
        for record in kept:
            self.append(record, urgent=False)
        if since:
            self.append(self._note_of_lost(since), urgent=False)

    def _note_of_lost(self, count: int) -> Record:
        return event_record(_RESUMED, self._clock())._replace(times=count)

    def _write(self) -> None:
        """The thread."""
        with closing(self._writer):
            while (batch := self._queue.get()) is not None:
                error, head = "", None
                try:
                    self._writer.write(batch.records)
                    head = self._writer.head_for_the_log()
                except Exception as err:  # noqa: BLE001  the thread's boundary: if it died, every request would wait
                    error = type(err).__name__
                with suppress(RuntimeError):  # the loop was closed over a hanging disk
                    self._loop.call_soon_threadsafe(self._committed, batch, error, head)
                if not error:
                    self._writer.upkeep()


_RESUMED = "audit resumed"


def event_record(name: str, now: float, *, who: str = "appliance", address: str = "", outcome: str = "done") -> Record:
    """The record of something that is not a request.

    Args:
        name: what happened, a fixed phrase such as ``log-in``.
        now: Unix seconds.
        who: an account's or an app's name.
        address: where from.
        outcome: ``done`` or ``refused``.
    """
    return Record(EVENT, int(now * 1000), "", app=who, address=address, route=name, outcome=outcome)


class _Writer:
    """The thread's hold on the database; opened anew after every failure."""

    def __init__(self, path: Path, retention_days: int, clock: Callable[[], float]) -> None:
        self._path = path
        self._retention_ms = retention_days * _DAY_MS
        self._clock = clock
        self._store: RecordStore | None = None
        self._recovered = False
        self._upkeep_at = self._head_at = 0.0
        self._time: BelievedTime | None = None
        self._looked_at: float | None = None
        self._told_ahead = False

    def write(self, records: list[Record]) -> None:
        """Write one batch; raises sqlite3.Error or OSError."""
        if self._store is None:
            self._store = RecordStore(self._path)
        try:
            if self._time is None:
                # Before this start's own records, whose time is the clock's.
                self._time = self._store.believed_time() or BelievedTime(int(self._clock() * 1000))
            if not self._recovered:
                self._store.recover(int(self._clock() * 1000))
                self._recovered = True
            self._store.check_path()
            self._store.append(records)
        except BaseException:
            self.close()
            raise

    def head_for_the_log(self) -> Mark | None:
        """The head, once an hour: the log is a second witness."""
        now = time.monotonic()
        if self._store is None or now < self._head_at:
            return None
        self._head_at = now + UPKEEP_SECONDS
        return self._store.head

    def upkeep(self) -> None:
        """Remove what is older than the retention, a part at a time, while nobody waits for it."""
        now = time.monotonic()
        if self._store is None or now < self._upkeep_at:
            return
        try:
            unix_ms = int(self._clock() * 1000)
            self._look_at_clock(self._store, unix_ms, now)
            if self._is_ahead(unix_ms) or not self._store.prune(unix_ms - self._retention_ms, unix_ms):
                self._upkeep_at = now + UPKEEP_SECONDS
        except Exception as err:  # noqa: BLE001  the same boundary: what failed is tried again with the next batch
            _log.error("old audit records cannot be removed", error=type(err).__name__)
            self._upkeep_at = now + RETRY_SECONDS
            self.close()

    def _look_at_clock(self, store: RecordStore, unix_ms: int, now: float) -> None:
        elapsed = now - self._looked_at if self._looked_at is not None else 0.0
        self._looked_at = now
        self._time = (self._time or BelievedTime(unix_ms)).seen(unix_ms, int(elapsed * 1000))
        store.note_time(self._time)

    def _is_ahead(self, unix_ms: int) -> bool:
        """Whether the clock has jumped too far to remove anything by it; said once."""
        if self._time is None or not self._time.is_ahead(unix_ms):
            self._told_ahead = False
            return False
        if not self._told_ahead:
            self._told_ahead = True
            _log.error("clock is ahead of the audit, old records are kept", remedy=_AHEAD)
        return True

    def close(self) -> None:
        """Close the database."""
        if self._store is not None:
            with suppress(Exception):
                self._store.close()
            self._store = None
