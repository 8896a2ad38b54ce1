"""API keys in SQLite (WAL), and the view of them that a running gateway keeps in memory.

The database has a file of its own so that SQLite's ``data_version`` tells a
running gateway, at each request and for a microsecond, whether any other
process has changed a key: a revocation holds from the next request on. When
the database cannot be read the keys known so far go on working.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from appliance import logs
from appliance.core import api_key
from appliance.core.api_key import ApiKey
from appliance.errors import InvalidKey, KeyStoreError, StateUnusable

_log = logs.get(__name__)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS api_key (
    key_id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    expires_at REAL,
    revoked_at REAL
) STRICT
"""
_COLUMNS = "key_id, app, digest, created_at, expires_at, revoked_at"


class KeyStore:
    """The keys on disk. Each call opens the database, so a store can be shared by processes.

    Args:
        path: the SQLite file; made on first use, readable by its owner and group only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, app: str, *, now: float, expires_at: float | None = None) -> tuple[ApiKey, str]:
        """Make a key for an app.

        Args:
            app: name of the app, for lists and the account of use.
            now: Unix seconds.
            expires_at: when it ends, Unix seconds, or None.

        Returns:
            The stored record, and the key itself: it is shown this once and never stored.

        Raises:
            KeyStoreError: the name is empty or too long.
            StateUnusable: the database cannot be written.
        """
        if not 1 <= len(app) <= 64 or not app.isprintable():
            raise KeyStoreError("An app's name has 1 to 64 printable characters.", remedy="Choose another --name.")
        key_id, key = api_key.compose(secrets.token_bytes(api_key.ID_BYTES), secrets.token_bytes(api_key.SECRET_BYTES))
        record = ApiKey(key_id, app, api_key.digest(key), now, expires_at)
        with self._open() as database, database:
            database.execute(
                f"INSERT INTO api_key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608  fixed column names
                (key_id, app, record.digest, now, expires_at, None),
            )
        return record, key

    def list(self) -> tuple[ApiKey, ...]:
        """Every key, oldest first; raises StateUnusable."""
        with self._open() as database:
            return read(database)

    def revoke(self, key_id: str, *, now: float) -> ApiKey:
        """End a key at once.

        Raises:
            KeyStoreError: there is no such key, or it was revoked before.
            StateUnusable: the database cannot be written.
        """
        with self._open() as database, database:
            changed = database.execute(
                "UPDATE api_key SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL", (now, key_id)
            ).rowcount
            if not changed:
                raise KeyStoreError("There is no key with that id that could be revoked.")
            return next(key for key in read(database) if key.key_id == key_id)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(connect(self.path)) as database:
                yield database
        except (sqlite3.Error, OSError) as err:
            raise StateUnusable(f"The key database {self.path} cannot be used ({type(err).__name__}).") from None


class KeyRing:
    """The keys in the memory of a running gateway, fresh at each look.

    It never makes or repairs a database: an empty one in place of a lost one
    would end every key.

    Args:
        path: the SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._version = -1
        self._file = (0, 0)
        self._keys: dict[str, ApiKey] = {}
        #: Whether the last look at the database worked.
        self.is_fresh = False
        self._refresh()

    def authenticate(self, presented: str, now: float) -> ApiKey:
        """The usable key that was presented.

        Args:
            presented: what stood after ``Bearer``.
            now: Unix seconds.

        Raises:
            InvalidKey: it has no key's form, is unknown, revoked or expired.
        """
        self._refresh()
        stored = self._keys.get(api_key.key_id_of(presented) or "")
        if stored is None or not api_key.matches(stored, presented) or not stored.is_usable(now):
            raise InvalidKey
        return stored

    def close(self) -> None:
        """Close the database."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _refresh(self) -> None:
        try:
            database = self._current()
            version: int = database.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._keys = {key.key_id: key for key in read(database)}
                self._version = version
        except (sqlite3.Error, OSError) as err:
            # Known keys go on working: a full disk must not lock the academy out.
            self.close()
            if self.is_fresh:
                _log.error("key database cannot be read, known keys go on working", error=type(err).__name__)
            self.is_fresh = False
        else:
            self.is_fresh = True

    def _current(self) -> sqlite3.Connection:
        """The open database; opened anew where another file took its place, as after a restored backup."""
        status = self._path.stat()
        file = (status.st_dev, status.st_ino)
        if self._database is None or file != self._file:
            self.close()
            # Without waiting for a lock: that would stop every stream of the gateway.
            self._database = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=0, check_same_thread=False
            )
            self._file = file
            self._version = -1
        return self._database


def connect(path: Path) -> sqlite3.Connection:
    """Open the key database, making it if need be; raises sqlite3.Error or OSError."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        path.touch(mode=0o640)
    database = sqlite3.connect(path, timeout=2.0, isolation_level="IMMEDIATE", check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(_SCHEMA)
    return database


def read(database: sqlite3.Connection) -> tuple[ApiKey, ...]:
    """Every key of an open database, oldest first."""
    rows = database.execute(f"SELECT {_COLUMNS} FROM api_key ORDER BY created_at, key_id")  # noqa: S608  fixed names
    return tuple(ApiKey(*row) for row in rows)
