"""One gateway a state directory: two would close each other's records and give every key its limits twice."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.errors import AlreadyRunning

_FILE_NAME = "gateway.lock"


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Be the gateway of a state directory; the kernel lets go when the process ends.

    A directory that cannot be written holds no records that two could spoil:
    then nothing is held.

    Raises:
        AlreadyRunning: another gateway serves it.
    """
    path = state_dir / _FILE_NAME
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError:
        yield
        return
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(
                f"Another gateway (process {file.read(20).strip() or 'unknown'}) serves {state_dir}.",
                remedy="Stop it first, or name another directory with --state-dir.",
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
