"""The files that running processes hold open for writing, from ``/proc``: where a log goes that nobody knows of.

Of other users' processes only root may know. A file behind a pipe (``| tee``) is another process's, not found here.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_WRITING = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True)
class OpenFile:
    """A regular file that a process writes.

    Attributes:
        path: leads to it even when it was deleted.
        name: what it is called, for people.
    """

    path: Path
    name: str


def processes_of(places: Iterable[Path]) -> list[int]:
    """Processes that hold a file or a Unix socket in one of these places open, and all below them.

    Args:
        places: directories, or files and sockets themselves.
    """
    roots = tuple(str(place.resolve()) for place in places)
    sockets = _sockets_in(roots)
    held = {pid for pid in _all() if _holds(pid, roots, sockets)}
    children: dict[int, list[int]] = {}
    for pid in _all():
        children.setdefault(_parent(pid), []).append(pid)
    queue = list(held)
    while queue:
        below = [pid for pid in children.get(queue.pop(), []) if pid not in held]
        held.update(below)
        queue += below
    return sorted(held)


def written_by(pid: int) -> list[OpenFile]:
    """What a process holds open for writing; none if it has ended.

    Raises:
        PermissionError: this user may not look into it.
    """
    files = []
    try:
        for path in (_PROC / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError):
                if stat.S_ISREG(path.stat().st_mode) and _flags(path) & _WRITING:
                    files.append(OpenFile(path, f"{path.readlink()} (open in process {pid})"))
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended meanwhile
    return files


def _all() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _holds(pid: int, roots: tuple[str, ...], sockets: frozenset[str]) -> bool:
    with suppress(OSError):  # ended meanwhile, or not ours to look into
        for path in (_PROC / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError):
                target = str(path.readlink())
                if match := _SOCKET.fullmatch(target):
                    if match[1] in sockets:
                        return True
                elif _is_in(target, roots):
                    return True
    return False


def _sockets_in(roots: tuple[str, ...]) -> frozenset[str]:
    """Inodes of the Unix sockets that are bound there (``/proc/net/unix``: seven fields and the path)."""
    rows = (line.split(None, 7) for line in (_PROC / "net/unix").read_text(errors="replace").splitlines())
    return frozenset(row[6] for row in rows if len(row) > 7 and _is_in(row[7], roots))


def _is_in(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def _flags(path: Path) -> int:
    """Of a descriptor, as ``open(2)`` took them (``/proc/PID/fdinfo/N``, octal)."""
    lines = (path.parent.parent / "fdinfo" / path.name).read_text().splitlines()
    return next((int(line.split()[1], 8) for line in lines if line.startswith("flags:")), 0)


def _parent(pid: int) -> int:
    try:
        # The name before it is in brackets and may itself hold some.
        return int((_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0
