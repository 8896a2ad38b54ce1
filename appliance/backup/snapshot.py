"""Copies the state of a running appliance into a directory, without stopping or delaying it.

Databases are copied by SQLite's online backup in one step: it reads one state
of the database, and in WAL mode nobody who writes waits for it. The audit's
sealed head is copied before its database, so that it is never ahead of it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from appliance import durable
from appliance.core import backup
from appliance.errors import BackupUnusable

_MODE = 0o600
_BUSY_SECONDS = 10.0


@dataclass(frozen=True)
class Sources:
    """What is backed up.

    Attributes:
        state_dir: databases, seals and upkeep's results.
        trust_dir: keys whose bundles are installed.
        settings_file: the settings, if there is a file of them.
    """

    state_dir: Path
    trust_dir: Path
    settings_file: Path | None = None


def take(sources: Sources, into: Path) -> list[str]:
    """Copy what there is; returns the names, sorted.

    Args:
        sources: where it is.
        into: an empty directory of this process's own.

    Raises:
        BackupUnusable: something is there and cannot be read, or a copy is damaged.
    """
    try:
        # The seals before the databases: a head that is behind its records is in order, one ahead of them is not.
        for name, path in _files(sources):
            target = into / name
            target.parent.mkdir(mode=0o700, exist_ok=True)
            with durable.exclusive(target, _MODE) as file:
                file.write(path.read_bytes())
        for name in backup.DATABASES:
            if (sources.state_dir / name).exists():
                _copy_database(sources.state_dir / name, into / name)
    except (OSError, sqlite3.Error) as err:
        raise BackupUnusable(
            f"The state in {sources.state_dir} cannot be copied: {err}.",
            remedy="Run the command as root or as the gateway's user, and see that there is room on the disk.",
        ) from None
    return sorted(path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file())


def check_database(path: Path) -> None:
    """See that a database that nobody uses is whole; raises BackupUnusable."""
    try:
        with closing(sqlite3.connect(path)) as database:
            (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as err:
        said = str(err)
    if said != "ok":
        raise BackupUnusable(
            f"The database {path.name} is damaged: {said}.", remedy="Use an older backup, and check the disk."
        )


def _files(sources: Sources) -> Iterator[tuple[str, Path]]:
    for name in backup.SINGLE_FILES:
        if (sources.state_dir / name).is_file():
            yield name, sources.state_dir / name
    if sources.settings_file is not None:
        yield backup.SETTINGS_NAME, sources.settings_file
    for folder, directory in ((backup.TRUST, sources.trust_dir), (backup.UPKEEP, sources.state_dir / backup.UPKEEP)):
        for path in sorted(directory.iterdir()) if directory.is_dir() else []:
            name = f"{folder}/{path.name}"
            if backup.may_hold(name) and name not in backup.SINGLE_FILES and path.is_file():
                yield name, path


def _copy_database(path: Path, target: Path) -> None:
    with durable.exclusive(target, _MODE):
        pass  # SQLite would make it readable by others
    with (
        closing(sqlite3.connect(_address(path), timeout=_BUSY_SECONDS, uri=True)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)  # all pages in one step
    check_database(target)


def _address(path: Path) -> str:
    """``rw`` also where nothing is written: a reader that may not write leaves SQLite's companions behind.

    One that may not even make them (a unit that sees the state read-only) does without where there are none: then
    nobody has the database open, and all of it is in its file.
    """
    if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
        return f"{path.absolute().as_uri()}?mode=rw"
    has_companions = path.with_name(f"{path.name}-wal").exists()
    return f"{path.absolute().as_uri()}?mode=ro" + ("" if has_companions else "&immutable=1")
