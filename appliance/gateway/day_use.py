"""The day's tokens of limited keys on disk, so that a restart gives nobody a second quota.

Numbers are noted in memory and written a second later by a thread, all
together: a power cut forgets at most that second. What is written counts
running requests with all they reserved, so a killed gateway errs to the box's
side. A disk that takes nothing stops no request; it is tried again.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from appliance import logs

_log = logs.get(__name__)
WRITE_INTERVAL_SECONDS = 1.0
#: Days that are kept, by the clock and also by number: a clock that is ahead for a while must give nobody a
#: second quota when it is set right.
KEPT_DAYS = 7
_FORGET = """
DELETE FROM day_use WHERE day < ? AND day NOT IN (SELECT DISTINCT day FROM day_use ORDER BY day DESC LIMIT ?)
"""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS day_use (
    account TEXT NOT NULL, day INTEGER NOT NULL, tokens INTEGER NOT NULL, PRIMARY KEY (account, day)
) STRICT
"""


class DayUse:
    """Tokens by account and day.

    Args:
        path: the SQLite file; made on first use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unwritten: dict[tuple[str, int], int] = {}
        self._failed = False
        self._writing = threading.Lock()

    def load(self, today: int) -> dict[str, dict[int, int]]:
        """Tokens by account and day, of the last days; empty if there are none or they cannot be read."""
        if not self._path.exists():
            return {}
        use: dict[str, dict[int, int]] = {}
        try:
            with self._open() as database, database:
                database.execute(_FORGET, (today - KEPT_DAYS, KEPT_DAYS))
                for account, day, tokens in database.execute("SELECT account, day, tokens FROM day_use ORDER BY day"):
                    use.setdefault(account, {})[day] = tokens
        except (sqlite3.Error, OSError) as err:
            self._note_failure(err)
        return use

    def note(self, account: str, day: int, tokens: int) -> None:
        """Have the tokens of an account's day written soon."""
        self._unwritten[account, day] = tokens

    async def run(self) -> None:
        """Write what was noted, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_INTERVAL_SECONDS)
            await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Write now what was noted; on failure keep it for the next time."""
        with self._writing:  # or a slow write could undo a later one
            batch, self._unwritten = self._unwritten, {}
            if batch:
                self._write(batch)

    def _write(self, batch: dict[tuple[str, int], int]) -> None:
        try:
            with self._open() as database, database:
                database.executemany(
                    "INSERT INTO day_use VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET tokens = excluded.tokens",
                    [(account, day, tokens) for (account, day), tokens in batch.items()],
                )
        except (sqlite3.Error, OSError) as err:
            self._unwritten = {**batch, **self._unwritten}
            self._note_failure(err)
        else:
            self._failed = False

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._path.touch(mode=0o640)
        with closing(sqlite3.connect(self._path, timeout=1.0)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(_SCHEMA)
            yield database

    def _note_failure(self, err: Exception) -> None:
        if not self._failed:
            self._failed = True
            _log.error("day use cannot be read or written, limits go on in memory", error=type(err).__name__)
