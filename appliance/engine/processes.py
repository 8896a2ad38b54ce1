"""Linux processes below this one: adopt them, find them, end every one of them.

Standard library only: the keeper imports this and must start in an instant.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_POLL_SECONDS = 0.01
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  the kernel's name for it, nothing is created there
#: Python's shared memory and semaphores, NCCL's buffers.
_SEGMENTS = ("psm_", "sem.mp-", "nccl-")


def become_subreaper() -> None:
    """Adopt orphans below this process, instead of init: none can slip away by a double fork."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; to be called after fork, before exec.

    Args:
        parent_pid: who the parent must be. If it ended before this call the kernel
            will not tell, so this process ends itself.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(128 + signal.SIGKILL)


def descendants(root_pid: int) -> list[int]:
    """Processes below ``root_pid`` at this moment, zombies included, from ``/proc/*/stat``.

    A process whose parent ends during the walk can be missed: repeat, and trust
    only ``waitpid`` to say that no child is left.
    """
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parent = _parent(entry)
            if parent is not None:
                children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    queue = [root_pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def end_descendants(limit_seconds: float) -> list[int]:
    """Kill every process below this one and reap it, until the kernel says there is none.

    Their shared memory goes with them: a killed vLLM leaves files in ``/dev/shm``
    (some 400 MB long) that nobody else would remove. This process must be a subreaper and must have no other children.

    Args:
        limit_seconds: give up after this long; a process stuck in a driver call cannot be killed.

    Returns:
        Processes that are still there, empty when all are gone.
    """
    deadline = time.monotonic() + limit_seconds
    segments: set[Path] = set()
    while True:
        below = descendants(os.getpid())
        for pid in below:
            segments |= _shared_memory(pid)
            _kill(pid)
        if _reap_all():
            for segment in segments:
                segment.unlink(missing_ok=True)
            return []
        if time.monotonic() >= deadline:
            return below
        time.sleep(_POLL_SECONDS)


def _reap_all() -> bool:
    """Collect the children that have ended; whether none is left, ended or not."""
    while True:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return False


def _parent(entry: Path) -> int | None:
    try:
        stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None  # it ended while we looked
    # "pid (name) state ppid …": the name may hold blanks and brackets (proc(5)).
    return int(stat.rpartition(")")[2].split()[1])


def _shared_memory(pid: int) -> set[Path]:
    """Named shared memory that a process maps, of the kinds that vLLM and the libraries below it make."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    names = {line.rpartition(f"{_SHARED_MEMORY}/")[2] for line in maps.splitlines() if f" {_SHARED_MEMORY}/" in line}
    # A segment that is removed already is shown as "name (deleted)".
    return {Path(_SHARED_MEMORY, name) for name in names if name.startswith(_SEGMENTS) and " " not in name}


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "prctl")
