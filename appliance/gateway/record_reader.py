"""The records and the account of use, for reading, while a gateway may be writing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from appliance.core import audit_chain, usage
from appliance.core.audit_chain import Mark
from appliance.core.usage import SUMS, Place, Tally
from appliance.errors import StateUnusable

_ROWS = f"SELECT hour, app, model, {', '.join(SUMS)} FROM usage"  # noqa: S608  fixed names
_GONE = "the database is gone, its sealed head is there"
_RESTORE = "Restore records.* from a backup, all of them together, and keep what is there for the auditor."
_PERMIT = (
    "Give this user read permission on records.* and their directory, or run the command as the gateway's user. "
    "On a read-only file system copy them to another directory and name it with --state-dir."
)
_DISK = "Check the disk, then try again."
_REMEDIES = {
    sqlite3.SQLITE_CANTOPEN: _PERMIT,
    sqlite3.SQLITE_PERM: _PERMIT,
    sqlite3.SQLITE_READONLY: _PERMIT,
    sqlite3.SQLITE_BUSY: "Another process holds the database: try again in a moment.",
    sqlite3.SQLITE_IOERR: _DISK,
}


class RecordReader:
    """The records, for reading, while a gateway may be writing. Each call is one look at one moment.

    Args:
        path: the SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def look(self) -> Iterator[sqlite3.Connection]:
        """A read transaction; raises StateUnusable where there is no database or it cannot be read."""
        try:
            if not self._path.exists():
                raise self._missing()
            with closing(sqlite3.connect(self._address(), timeout=5.0, isolation_level=None, uri=True)) as database:
                database.execute("PRAGMA query_only = ON")
                database.execute("BEGIN")
                database.execute("SELECT 1 FROM record LIMIT 1").fetchone()
                yield database
        except (sqlite3.Error, OSError) as err:
            raise StateUnusable(f"The records {self._path} cannot be read ({err}).", remedy=_remedy(err)) from None

    def _address(self) -> str:
        """How SQLite is to open the file.

        On a read-only file system, or in a directory that this user may only
        read, the companions of its log cannot be made, so where there is no log
        (no gateway runs) the file is read alone. Elsewhere ``mode=ro`` would
        leave companions behind that a gateway of another user cannot write:
        ``rw`` removes them, and makes no database.
        """
        if not os.statvfs(self._path).f_flag & os.ST_RDONLY and os.access(self._path.parent, os.W_OK):
            mode = "mode=rw"
        else:
            log = self._path.with_name(self._path.name + "-wal")
            mode = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
        return f"{self._path.absolute().as_uri()}?{mode}"

    def _is_gone(self) -> bool:
        """Whether there is no database where there was one."""
        return not self._path.exists() and any(self._path.with_suffix(end).exists() for end in (".head", ".key"))

    def _missing(self) -> StateUnusable:
        if self._is_gone():
            return StateUnusable(f"The records {self._path} are gone; {_GONE}.", remedy=_RESTORE)
        return StateUnusable(
            f"There are no records at {self._path}.", remedy="Start the gateway once, or name its --state-dir."
        )

    def usage(self, since: int = 0, until: int | None = None) -> dict[Place, Tally]:
        """What was booked in the hours from ``since`` (included) to ``until`` (not included), Unix seconds."""
        with self.look() as database:
            rows = database.execute(
                f"{_ROWS} WHERE hour >= ? AND hour < ?", (since, until if until is not None else 2**62)
            )
            return {Place(*row[:3]): Tally(*row[3:]) for row in rows}

    def verify(self, noted: Sequence[Mark] = ()) -> audit_chain.Verdict:
        """Walk along the whole chain.

        Args:
            noted: heads written down elsewhere that must be in it.

        Raises:
            StateUnusable: the database or the sealing key cannot be read.
        """
        with suppress(OSError):  # which the look tells
            if self._is_gone():
                return audit_chain.Verdict(0, 0, Mark(), problem=audit_chain.Problem(1, f"{_GONE}."))
        with self.look() as database:
            # Read within the look: the head is written after the commit it seals, so it can only be behind.
            sealed = self._sealed()
            database.execute("COMMIT")
            database.execute("BEGIN")
            walk = audit_chain.Walk(noted_place(database, "anchor"), [*noted, *([sealed] if sealed else [])])
            booked: dict[Place, Tally] = {}
            for row in database.execute("SELECT sequence, body, hash FROM record ORDER BY sequence"):
                record = walk.take(*row)
                if record is None:
                    break
                for place, tally in usage.fold((record,)).items():
                    booked.setdefault(place, Tally()).add(tally)
            verdict = walk.end(sealed)
            return replace(verdict, problem=verdict.problem or self._misbooked(database, booked, verdict))

    def _misbooked(
        self, database: sqlite3.Connection, booked: dict[Place, Tally], verdict: audit_chain.Verdict
    ) -> audit_chain.Problem | None:
        """Whether the account of use is what the records say, for the hours of which all records are left."""
        if not verdict.records:
            return None
        # The hour in which retention cut is no longer whole.
        whole_from = _cut(database) // 1000 + 1 if verdict.first > 1 else 0
        rows = database.execute(f"{_ROWS} WHERE hour >= ?", (whole_from,))
        kept = {Place(*row[:3]): Tally(*row[3:]) for row in rows}
        if kept == {place: tally for place, tally in booked.items() if place.hour >= whole_from}:
            return None
        return audit_chain.Problem(verdict.head.sequence, "the account of use is not what the records say.")

    def _sealed(self) -> Mark | None:
        try:
            key = self._path.with_suffix(".key").read_bytes()
            return audit_chain.unseal(self._path.with_suffix(".head").read_bytes(), key)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise StateUnusable(
                f"The seal of the records cannot be read: {err.strerror}.",
                remedy="Run the command as root or as the gateway's user.",
            ) from None


def _remedy(err: sqlite3.Error | OSError) -> str:
    """What helps against the cause."""
    if isinstance(err, OSError):
        return _PERMIT if isinstance(err, PermissionError) else _DISK
    code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest tells sub-kinds apart
    return _REMEDIES.get(code, _RESTORE)


def _cut(database: sqlite3.Connection) -> int:
    """The time of the oldest record, but for what a clock that was ahead stamped: later than the newest record."""
    (newest,) = database.execute("SELECT body FROM record ORDER BY sequence DESC LIMIT 1").fetchone()
    now_ms = audit_chain.decode(newest).at_ms
    rows = database.execute("SELECT body FROM record ORDER BY sequence")
    return next(at_ms for (body,) in rows if (at_ms := audit_chain.decode(body).at_ms) <= now_ms)


def noted_place(database: sqlite3.Connection, name: str) -> Mark | None:
    """A place that the store has noted by name; raises sqlite3.Error."""
    row = database.execute("SELECT sequence, hash FROM place WHERE name = ?", (name,)).fetchone()
    return Mark(*row) if row else None
