"""One gateway a state directory: two would close each other's records and give every key its limits twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance import lockfile
from appliance.errors import AlreadyRunning

FILE_NAME = "gateway.lock"


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Be the gateway of a state directory; the kernel lets go when the process ends.

    A directory that cannot be written holds no records that two could spoil:
    then nothing is held.

    Raises:
        AlreadyRunning: another gateway serves it.
    """
    path = state_dir / FILE_NAME
    try:
        file = lockfile.acquire(path, directory_mode=0o750)
    except BlockingIOError:
        raise AlreadyRunning(
            f"Another gateway (process {lockfile.holder(path)}) serves {state_dir}.",
            remedy="Stop it first, or name another directory with --state-dir.",
        ) from None
    except OSError:
        yield
        return
    with file:
        yield
