"""The key database: its schema by version, rows as keys, and what SQLite's failures mean.

Schema versions (``PRAGMA user_version``): 0 knew key, app, digest and dates; 1
adds what a key may do. Reading takes the columns it finds, so that a gateway
reads an older or a newer database as it is; only the commands that write
bring one up to date, in one transaction.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from appliance.core.admission import Priority
from appliance.core.api_key import ApiKey
from appliance.core.limits import Limits
from appliance.errors import KeyStoreError

#: How long a command waits for another that writes.
BUSY_SECONDS = 5.0
#: Of the file beside the database that the commands lock; it stays, so that a lost database is told from none.
LOCK_SUFFIX = ".lock"
_MIGRATIONS = (
    (
        """CREATE TABLE IF NOT EXISTS api_key (
            key_id TEXT PRIMARY KEY,
            app TEXT NOT NULL,
            digest BLOB NOT NULL UNIQUE,
            created_at REAL NOT NULL,
            expires_at REAL,
            revoked_at REAL
        ) STRICT""",
        "ALTER TABLE api_key ADD COLUMN models TEXT",  # a JSON list of names, NULL for all
        "ALTER TABLE api_key ADD COLUMN aliases TEXT",  # a JSON object, NULL for none
        "ALTER TABLE api_key ADD COLUMN priority TEXT NOT NULL DEFAULT 'interactive'",
        "ALTER TABLE api_key ADD COLUMN requests_per_minute INTEGER",
        "ALTER TABLE api_key ADD COLUMN tokens_per_minute INTEGER",
        "ALTER TABLE api_key ADD COLUMN concurrent_requests INTEGER",
        "ALTER TABLE api_key ADD COLUMN tokens_per_day INTEGER",
        "ALTER TABLE api_key ADD COLUMN account TEXT",  # NULL for the key's own id
        "ALTER TABLE api_key ADD COLUMN replaced_by TEXT",
    ),
)
SCHEMA_VERSION = len(_MIGRATIONS)
_LIMITS = tuple(field.name for field in fields(Limits))


@contextmanager
def open_for_change(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database, making it or bringing it up to date if need be.

    Raises:
        KeyStoreError: a newer version of the appliance made it.
        sqlite3.Error: it cannot be used.
        OSError: its directory or file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    lock = path.with_suffix(LOCK_SUFFIX)
    _make(lock)
    with _one_at_a_time(lock):
        _make(path)
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level="IMMEDIATE")) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            _migrate(database)
            yield database


def _make(path: Path) -> None:
    """Make an empty file if there is none; one that root makes belongs to the directory's owner, as the gateway does.

    SQLite gives the files that it adds itself (``-wal``, ``-shm``) to the owner of the database.
    """
    try:
        # Only a file made here is given away: a link laid in its place leads to none of root's.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    except FileExistsError:
        return
    try:
        if os.geteuid() == 0:
            directory = path.parent.stat()
            os.fchown(file, directory.st_uid, directory.st_gid)
    finally:
        os.close(file)


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Let one command in after the other: SQLite does not wait where two of them switch a new file to WAL at once."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go by the kernel when the process ends
        yield


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open an existing database without ever waiting for a lock, which would stop an event loop; raises sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0, check_same_thread=False)


def read(database: sqlite3.Connection) -> tuple[ApiKey, ...]:
    """Every key, oldest first; raises sqlite3.Error."""
    cursor = database.execute("SELECT * FROM api_key ORDER BY created_at, key_id")
    names = [column[0] for column in cursor.description]
    try:
        return tuple(_key(dict(zip(names, row, strict=True))) for row in cursor)
    except (KeyError, TypeError, ValueError):
        raise sqlite3.DataError("a row of api_key is not a key") from None


def insert(database: sqlite3.Connection, key: ApiKey) -> None:
    """Add a key; raises sqlite3.Error."""
    row: dict[str, Any] = {
        "key_id": key.key_id,
        "app": key.app,
        "digest": key.digest,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "models": None if key.models is None else json.dumps(sorted(key.models), ensure_ascii=False),
        "aliases": json.dumps(dict(key.aliases), ensure_ascii=False) if key.aliases else None,
        "priority": key.priority,
        "account": key.account or key.key_id,
        **{name: getattr(key.limits, name) for name in _LIMITS},
    }
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    database.execute(f"INSERT INTO api_key ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608  our own names


def update(database: sqlite3.Connection, account: str, limits: Limits, priority: Priority) -> None:
    """Give all keys of an account these limits and this class; raises sqlite3.Error."""
    marks = ", ".join(f"{name} = ?" for name in _LIMITS)
    values = (*(getattr(limits, name) for name in _LIMITS), priority, account)
    database.execute(
        f"UPDATE api_key SET {marks}, priority = ? WHERE coalesce(account, key_id) = ?",  # noqa: S608  our own names
        values,
    )


def reason(err: sqlite3.Error | OSError, path: Path) -> str:
    """A failure in a few words that say what to do about it.

    Args:
        err: what opening, reading or writing raised.
        path: the database.
    """
    if isinstance(err, OSError):
        full = err.errno in {errno.ENOSPC, errno.EDQUOT}
        return "the disk is full" if full else os.strerror(err.errno or errno.EIO)
    code = (getattr(err, "sqlite_errorcode", 0) or 0) & 0xFF
    if code == sqlite3.SQLITE_CANTOPEN and path.is_file():  # SQLite says no more than that
        if not os.access(path, os.R_OK, effective_ids=True):
            code = sqlite3.SQLITE_PERM
        elif not os.access(path, os.W_OK, effective_ids=True):
            code = sqlite3.SQLITE_READONLY
    return _REASONS.get(code, type(err).__name__)


_REASONS = {
    sqlite3.SQLITE_BUSY: "another process holds it locked",
    sqlite3.SQLITE_LOCKED: "another process holds it locked",
    sqlite3.SQLITE_READONLY: "this user may not write it",
    sqlite3.SQLITE_PERM: "this user may not read it",
    sqlite3.SQLITE_CANTOPEN: "it is not there or cannot be opened",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written, or is full",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_NOTADB: "it is damaged",
}


def _migrate(database: sqlite3.Connection) -> None:
    if _version(database) == SCHEMA_VERSION:
        return
    with database:
        database.execute("BEGIN IMMEDIATE")
        version = _version(database)  # again: another process may have been faster
        if version > SCHEMA_VERSION:
            raise KeyStoreError(
                "The key database was made by a newer version of the appliance.",
                remedy="Run the newer version's command.",
            )
        for steps in _MIGRATIONS[version:]:
            for step in steps:
                database.execute(step)
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _version(database: sqlite3.Connection) -> int:
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    return version


def _key(row: Mapping[str, Any]) -> ApiKey:
    models, aliases = row.get("models"), row.get("aliases")
    return ApiKey(
        key_id=row["key_id"],
        app=row["app"],
        digest=row["digest"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        models=None if models is None else frozenset(json.loads(models)),
        aliases=json.loads(aliases) if aliases else {},
        priority="batch" if row.get("priority") == "batch" else "interactive",
        limits=Limits(**{name: row.get(name) for name in _LIMITS}),
        account=row.get("account") or row["key_id"],
        replaced_by=row.get("replaced_by") or "",
    )
