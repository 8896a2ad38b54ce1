"""The audit's records and the account of use in one SQLite file (WAL), with the sealed head beside it.

Apart from the key database on purpose: a running gateway watches that one for
changes at every request. A transaction is durable when :meth:`RecordStore.append`
returns: ``synchronous = FULL`` syncs the write-ahead log at each commit. The
log is copied back every thousand pages (4 MiB), by the thread that writes.

Files: ``records.sqlite3``; ``records.head``, the sealed head, written after
each commit and so never ahead of what is durable; ``records.key``, the sealing
key, readable by its owner only.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import astuple
from pathlib import Path

from appliance.core import audit_chain, usage
from appliance.core.audit_chain import CLOSE, EVENT, OPEN, PRUNED, Mark, Record
from appliance.core.believed_time import BelievedTime
from appliance.core.usage import SUMS
from appliance.gateway.record_reader import noted_place

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS record (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS usage (
    hour INTEGER NOT NULL, app TEXT NOT NULL, model TEXT NOT NULL,
    {", ".join(f"{name} INTEGER NOT NULL" for name in SUMS)},
    PRIMARY KEY (hour, app, model)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS place (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
"""
_BOOK = (
    f"INSERT INTO usage (hour, app, model, {', '.join(SUMS)}) VALUES (?, ?, ?{', ?' * len(SUMS)}) "  # noqa: S608  fixed names
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in SUMS)}"
)
#: Places that hold a time, or a length of it, in milliseconds instead of a record's number.
_TIME, _DOUBT = "believed time", "doubted run"
_PUT_PLACE = "INSERT OR REPLACE INTO place (name, sequence, hash) VALUES (?, ?, ?)"
# Each step of a statement gives up Python's lock and must get it back from a busy event loop: many rows a step.
_ROWS_A_STEP = (64, 16, 4, 1)
_INSERT = {rows: "INSERT INTO record VALUES " + ", ".join(["(?, ?, ?)"] * rows) for rows in _ROWS_A_STEP}  # noqa: S608  question marks only
_BUSY_TIMEOUT_SECONDS = 1.0
#: Where the scan for interrupted requests begins is noted again when it has moved by this many records.
_NOTE_EVERY = 1024
#: Records removed in one transaction, so that a request never waits long for retention.
PRUNE_AT_ONCE = 10_000


class RecordStore:
    """The records, for writing. One thread at a time; processes take turns by the database's lock.

    Args:
        path: the SQLite file; it and its companions are made on first use.
    """

    def __init__(self, path: Path) -> None:
        _make(path)
        self._key = _sealing_key(path)
        self._database = connect(path)
        self._path = path
        self._inode = path.stat().st_ino
        self._head_file = os.open(path.with_suffix(".head"), os.O_RDWR | os.O_CREAT, 0o640)
        self._open: dict[str, int] = {}
        self._noted = 0
        try:
            self._database.executescript(_SCHEMA)
            self._tail = self._resume()
        except BaseException:  # whatever it was, the files do not stay open
            self.close()
            raise

    @property
    def head(self) -> Mark:
        """The newest record's place."""
        return self._tail

    def append(self, records: Sequence[Record]) -> None:
        """Write records and book their use in one transaction; they are durable on return.

        Raises:
            sqlite3.Error: nothing was written: the disk is full, the database locked or damaged.
            OSError: the head could not be written, the records were.
        """
        try:
            self._append(records)
        except sqlite3.IntegrityError:
            # Another process wrote meanwhile: follow on from there.
            self._tail = self._last()
            self._append(records)

    def check_path(self) -> None:
        """Raise FileNotFoundError where the file is gone: SQLite would write on into what nobody can read."""
        if self._path.stat().st_ino != self._inode:
            raise FileNotFoundError(self._path)

    def recover(self, now_ms: int) -> int:
        """Close what a crash or a power cut left open, as interrupted; returns how many. For the gateway's start."""
        start = self._place("oldest open")
        left: dict[str, Record] = {}
        for body in self._bodies(start.sequence):
            record = audit_chain.decode(body)
            if record.kind == OPEN:
                left[record.request_id] = record
            elif record.kind == CLOSE:
                left.pop(record.request_id, None)
        if left:
            self.append([record._replace(kind=CLOSE, at_ms=now_ms, outcome="interrupted") for record in left.values()])
        return len(left)

    def believed_time(self) -> BelievedTime | None:
        """The time last noted; where none was, the newest record's. None where nothing was ever recorded."""
        noted = noted_place(self._database, _TIME)
        if noted is not None:
            return BelievedTime(noted.sequence, self._place(_DOUBT).sequence)
        for (body,) in self._database.execute("SELECT body FROM record ORDER BY sequence DESC LIMIT 100"):
            with suppress(ValueError, TypeError):  # a damaged one is for the auditor to find
                return BelievedTime(audit_chain.decode(body).at_ms)
        return None

    def note_time(self, time: BelievedTime) -> None:
        """Keep the time for the next start; raises sqlite3.Error."""
        self._database.executemany(_PUT_PLACE, [(_TIME, time.at_ms, b""), (_DOUBT, time.doubted_ms, b"")])

    def prune(self, before_ms: int, now_ms: int) -> int:
        """Remove the oldest records, all from before a time, at most :data:`PRUNE_AT_ONCE`; returns how many.

        A record from after ``now_ms`` was stamped by a clock that was ahead, so
        its own time says nothing: it goes with the next old record behind it,
        and what it used is booked there. The chain notes what went, so that
        what is left can still be verified.
        """
        last, reached = None, Mark()
        ahead: list[Record] = []
        moves: list[tuple[int | str, ...]] = []
        seen = count = 0
        rows = self._database.execute("SELECT sequence, body, hash FROM record ORDER BY sequence")
        with closing(rows):
            for sequence, body, digest in rows:
                record = audit_chain.decode(body)
                if before_ms <= record.at_ms <= now_ms:
                    break
                seen += 1
                if seen <= PRUNE_AT_ONCE:
                    reached = Mark(sequence, digest)
                    if record.at_ms >= before_ms:
                        ahead.append(record)
                if record.at_ms < before_ms:
                    last, count = reached, min(seen, PRUNE_AT_ONCE)
                    moves += _moves(ahead, record.at_ms)
                    ahead = []
                    if seen >= PRUNE_AT_ONCE:
                        break
        if last is not None:
            note = Record(
                EVENT, now_ms, last.digest.hex(), app="appliance", route=PRUNED, outcome="done", times=last.sequence
            )
            self._append([note], last, moves)
        return count

    def close(self) -> None:
        """Close the files."""
        self._database.close()
        with suppress(OSError):
            os.fsync(self._head_file)
        os.close(self._head_file)

    def _append(
        self, records: Sequence[Record], prune_to: Mark | None = None, moves: Sequence[tuple[int | str, ...]] = ()
    ) -> None:
        sequence, digest = self._tail.sequence, self._tail.digest
        values: list[int | bytes] = []
        for record in records:
            sequence += 1
            body = audit_chain.encode(record)
            digest = audit_chain.link(digest, sequence, body)
            values += (sequence, body, digest)
        booked = [(*astuple(place), *astuple(tally)) for place, tally in usage.fold(records).items()]
        oldest_open = next(iter(self._open.values()), self._tail.sequence + 1)
        run = self._database.execute
        run("BEGIN IMMEDIATE")
        try:
            _insert(self._database, values)
            if booked:
                self._database.executemany(_BOOK, booked)
            if oldest_open - self._noted >= _NOTE_EVERY:
                run(_PUT_PLACE, ("oldest open", oldest_open, b""))
            if prune_to is not None:
                run("DELETE FROM record WHERE sequence <= ?", (prune_to.sequence,))
                run(_PUT_PLACE, ("anchor", prune_to.sequence, prune_to.digest))
            if moves:
                self._database.executemany(_BOOK, moves)
                run("DELETE FROM usage WHERE requests = 0")
            run("COMMIT")
        except BaseException:  # whatever it was, no part of a transaction stays begun
            with suppress(sqlite3.Error):
                run("ROLLBACK")
            raise
        if oldest_open - self._noted >= _NOTE_EVERY:
            self._noted = oldest_open
        self._follow(records)
        self._tail = Mark(sequence, digest)
        self._write_head()

    def _follow(self, records: Sequence[Record]) -> None:
        """Keep the numbers of the requests that are open, oldest first."""
        sequence = self._tail.sequence
        for record in records:
            sequence += 1
            if record.kind == OPEN:
                self._open[record.request_id] = sequence
            elif record.kind == CLOSE:
                self._open.pop(record.request_id, None)

    def _last(self) -> Mark:
        row = self._database.execute("SELECT sequence, hash FROM record ORDER BY sequence DESC LIMIT 1").fetchone()
        return Mark(*row) if row else Mark()

    def _place(self, name: str) -> Mark:
        return noted_place(self._database, name) or Mark()

    def _bodies(self, start: int) -> Iterator[bytes]:
        for (body,) in self._database.execute(
            "SELECT body FROM record WHERE sequence >= ? ORDER BY sequence", (start,)
        ):
            yield body

    def _resume(self) -> Mark:
        """The place to go on from; where it is not what the head says, one that leaves a gap which shows for ever."""
        self._noted = self._place("oldest open").sequence
        # The head first: another process may be writing, and the head is never ahead of what was read after it.
        content = os.pread(self._head_file, 256, 0)
        tail = self._last()
        if tail.sequence == 0 and not content:
            return tail  # nothing was ever written
        sealed = audit_chain.unseal(content, self._key)
        if sealed is not None and sealed.sequence <= tail.sequence:
            row = self._database.execute("SELECT hash FROM record WHERE sequence = ?", (sealed.sequence,)).fetchone()
            if row is not None and row[0] == sealed.digest:
                return tail
        return Mark(max(tail.sequence, sealed.sequence if sealed else 0) + 1, tail.digest)

    def _write_head(self) -> None:
        os.pwrite(self._head_file, audit_chain.seal(self._tail, self._key), 0)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database for writing; raises sqlite3.Error."""
    database = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "wal_autocheckpoint = 1000",
        "journal_size_limit = 4194304",
        "secure_delete = ON",  # what retention removes is gone from the file
    ):
        database.execute(f"PRAGMA {pragma}")
    return database


def _insert(database: sqlite3.Connection, values: list[int | bytes]) -> None:
    at, left = 0, len(values) // 3
    for rows in _ROWS_A_STEP:
        while left >= rows:
            database.execute(_INSERT[rows], values[at : at + 3 * rows])
            at += 3 * rows
            left -= rows


def _moves(records: Sequence[Record], at_ms: int) -> list[tuple[int | str, ...]]:
    """What to book so that the use of these records stands in the hour of another time."""
    away = [(*astuple(place), *(-value for value in astuple(tally))) for place, tally in usage.fold(records).items()]
    there = usage.fold(record._replace(at_ms=at_ms) for record in records)
    return [*away, *((*astuple(place), *astuple(tally)) for place, tally in there.items())]


def _make(path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        path.touch(mode=0o640)


def _sealing_key(path: Path) -> bytes:
    """The key beside the database, made if there is none, whole or not at all."""
    file = path.with_suffix(".key")
    with suppress(FileNotFoundError):
        return file.read_bytes()
    fresh = file.with_suffix(f".key-{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(32))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with suppress(FileExistsError):
        os.link(fresh, file)  # of two processes at once the first one's stays
    fresh.unlink()
    return file.read_bytes()
