"""Writing so that a power cut leaves the old or the new file, never a part of either.

A rename is atomic, and on disk once its directory is synced; before it, what it
names must be on disk. Source: rename(2), fsync(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h


def sync_directory(directory: Path) -> None:
    """Have the names in a directory on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(directory: Path) -> None:
    """Have all files and names below a directory on disk."""
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_dir():
            sync_directory(path)
        else:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    sync_directory(directory)


def write(path: Path, content: bytes, *, mode: int) -> None:
    """Replace a file in one step."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with exclusive(fresh, mode) as file:
        file.write(content)
    fresh.replace(path)
    sync_directory(path.parent)


def link(path: Path, target: Path) -> None:
    """Point the symbolic link ``path`` at ``target`` in one step; a reader sees the old or the new."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(target, path.parent))
    fresh.replace(path)
    sync_directory(path.parent)


def exchange(one: Path, other: Path) -> None:
    """Let two directories change names in one step, as renameat2(2) does.

    Raises:
        OSError: the file system cannot do it, or one of them is missing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno() or errno.EIO
        raise OSError(number, os.strerror(number), str(one))
    for parent in {one.parent, other.parent}:
        sync_directory(parent)


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
