"""The keys in the memory of a running gateway.

The database has a file of its own so that SQLite's ``data_version`` tells, at
each request and for a few microseconds, whether any other process has changed
a key: a revocation holds from the next request on. A database that is locked,
full, damaged or gone takes nobody's key away: what was known goes on working,
and the ring looks again by itself.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from appliance import logs
from appliance.core import api_key
from appliance.core.api_key import ApiKey
from appliance.errors import InvalidKey, KeysUnavailable
from appliance.gateway import key_database

_log = logs.get(__name__)
#: Pause between two looks at a database that cannot be read.
RETRY_SECONDS = 0.5
#: The file is opened anew this often: damage shows only in what is read from it afresh.
REOPEN_SECONDS = 5.0
_NO_KEYS = "no keys yet"


class KeyRing:
    """The keys, fresh at each look.

    It never makes, repairs or waits for a database: an empty one in place of a
    lost one would end every key, and a lock would stop every stream.

    Args:
        path: the SQLite file.
        clock: monotonic seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._database: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._version = -1
        self._look_at = self._reopen_at = 0.0
        self._keys: dict[str, ApiKey] = {}
        self._reported = ""
        #: Whether the database could be read at the last look.
        self.is_readable = False
        #: Ids of keys that work although the database has them no more: it was lost, or is an older copy.
        self.lost: frozenset[str] = frozenset()
        self.refresh()

    @property
    def is_fresh(self) -> bool:
        """Whether the keys are exactly those of the database."""
        return self.is_readable and not self.lost

    def authenticate(self, presented: str, now: float, *, looked: bool = False) -> ApiKey:
        """The usable key that was presented.

        Args:
            presented: what stood after ``Bearer``.
            now: Unix seconds.
            looked: whether the database was looked at for another request of this turn of the loop.

        Raises:
            InvalidKey: it has no key's form, is unknown, revoked or expired.
            KeysUnavailable: it is not among the known keys, and the database cannot be asked.
        """
        if not looked:
            self.refresh()
        key_id = api_key.key_id_of(presented)
        if key_id is None:
            raise InvalidKey
        stored = self._keys.get(key_id)
        if stored is None and not self.is_readable:
            raise KeysUnavailable(headers={"retry-after": "2"})
        if stored is None or not api_key.matches(stored, presented) or not stored.is_usable(now):
            raise InvalidKey
        return stored

    def refresh(self) -> None:
        """Look whether a key has changed; while the database cannot be read, only now and then."""
        now = self._clock()
        if now < self._look_at:
            return
        try:
            database = self._current(now)
            version: int = database.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._take(key_database.read(database))
                self._version = version
        except (sqlite3.Error, OSError) as err:
            self.close()
            self.is_readable = False
            self._look_at = now + RETRY_SECONDS
            self._report(_NO_KEYS if self._never_had(err) else key_database.reason(err, self._path))
        else:
            self.is_readable = True
            self._report(f"it lacks {len(self.lost)} keys that it had" if self.lost else "")

    def close(self) -> None:
        """Close the database."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _take(self, keys: tuple[ApiKey, ...]) -> None:
        read = {key.key_id: key for key in keys}
        # Rows are never deleted, revoked ones neither: one that is missing was lost, not taken back.
        kept = {key_id: key for key_id, key in self._keys.items() if key_id not in read and key.revoked_at is None}
        self.lost = frozenset(kept)
        self._keys = {**kept, **read}

    def _current(self, now: float) -> sqlite3.Connection:
        """The open database; opened anew now and then, and where another file took its place."""
        status = self._path.stat()
        file = (status.st_dev, status.st_ino)
        if self._database is None or file != self._file or now >= self._reopen_at:
            self.close()
            self._database = key_database.open_to_read(self._path)
            self._file = file
            self._version = -1
            self._reopen_at = now + REOPEN_SECONDS
        return self._database

    def _never_had(self, err: sqlite3.Error | OSError) -> bool:
        """Whether this box has made no key yet, so that nothing is lost."""
        never = isinstance(err, FileNotFoundError) and not self._keys
        return never and not self._path.with_suffix(key_database.LOCK_SUFFIX).exists()

    def _report(self, reason: str) -> None:
        """Log changes only."""
        if reason == self._reported:
            return
        before, self._reported = self._reported, reason
        if reason == _NO_KEYS:
            _log.info(_NO_KEYS, remedy="make one with `appliance keys create`; it works at once")
        elif reason:
            _log.error("key database is not usable, known keys go on working", reason=reason, count=len(self._keys))
        elif before == _NO_KEYS:
            _log.info("first keys", count=len(self._keys))
        else:
            _log.info("key database is usable again", count=len(self._keys))
