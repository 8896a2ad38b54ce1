"""Writing so that a power cut leaves the old or the new file, never a part of either.

A rename is atomic, and on disk once its directory is synced; before it, what it
names must be on disk. Source: rename(2), fsync(2).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def sync_directory(directory: Path) -> None:
    """Have the names in a directory on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes, *, mode: int) -> None:
    """Replace a file in one step."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with exclusive(fresh, mode) as file:
        file.write(content)
    fresh.replace(path)
    sync_directory(path.parent)


@contextmanager
def exclusive(path: Path, mode: int) -> Iterator[BinaryIO]:
    """A new file to write, on disk when the body ends.

    Raises:
        FileExistsError: there is one.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w+b") as file:
        os.fchmod(descriptor, mode)
        yield file
        file.flush()
        os.fsync(descriptor)
