"""A file that one process at a time may hold; the kernel lets go when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o640


def acquire(path: Path, *, directory_mode: int = _DIRECTORY_MODE) -> IO[str]:
    """Hold a file until it is closed, and write this process's id into it.

    Args:
        path: the file; it and its directory are made if missing.
        directory_mode: of the directory.

    Raises:
        BlockingIOError: another process holds it; :func:`holder` tells which.
        OSError: it cannot be made or opened.
    """
    path.parent.mkdir(mode=directory_mode, parents=True, exist_ok=True)
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    except BaseException:  # not ours: nothing stays open
        file.close()
        raise
    return file


def holder(path: Path) -> str:
    """The process id of who holds it, as far as that is written there."""
    try:
        return path.read_text(encoding="ascii").strip() or "unknown"
    except (OSError, UnicodeDecodeError):
        return "unknown"
