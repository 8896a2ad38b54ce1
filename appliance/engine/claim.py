"""The claim on the engine's socket: one engine a socket, and no stale file in its way.

A killed engine leaves its socket file behind, and the next one would fail with
"Address already in use". A refused connection alone does not prove that nobody
owns the file: vLLM binds it long before it listens. So whoever may run an
engine holds a lock beside it; the keeper inherits the lock, and it is free only
when the last process of the engine is gone, however it ended.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance.errors import AlreadyRunning, StateUnusable

#: The gateway is in the socket's group, nobody else may connect.
DIRECTORY_MODE = 0o750
SOCKET_MODE = 0o660
NOTE_MODE = 0o640
#: Of the engine's processes: nothing they create is open to others, from the first moment.
UMASK = 0o007
_POLL_SECONDS = 0.05


class Claim:
    """The exclusive right to run an engine on one socket, until :meth:`release`.

    Args:
        socket_path: the engine's Unix socket.
        wait_seconds: how long the keeper of a predecessor may still take to clean up.

    Raises:
        AlreadyRunning: another engine holds the claim, or something else listens on the socket.
        StateUnusable: the directory or the lock cannot be written, or the path is no socket.
    """

    def __init__(self, socket_path: Path, wait_seconds: float = 5.0) -> None:
        self._socket_path = socket_path
        try:
            socket_path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._lock = os.open(f"{socket_path}.lock", flags, 0o600)
        except OSError as err:
            raise StateUnusable(f"The engine's socket directory cannot be used: {err.strerror}.") from None
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._lock)
            self._take(time.monotonic() + wait_seconds)
            self.clear()
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def fileno(self) -> int:
        """The lock's descriptor, for the keeper to inherit."""
        return self._lock

    def clear(self) -> None:
        """Remove a socket file that a killed engine left; to be called only while no engine runs.

        Raises:
            AlreadyRunning: somebody listens on it without the claim.
            StateUnusable: the path is something else than a socket, or cannot be removed.
        """
        try:
            mode = self._socket_path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise StateUnusable(
                f"{self._socket_path} is in the way: it is no socket.",
                remedy="Remove it, or choose another path with APPLIANCE_ENGINE__SOCKET_PATH.",
            )
        if _somebody_listens(self._socket_path):
            raise AlreadyRunning
        try:
            self._socket_path.unlink(missing_ok=True)
        except OSError as err:
            raise StateUnusable(f"The stale socket {self._socket_path} cannot be removed: {err.strerror}.") from None

    def note_sequences(self, path: Path, sequences: int) -> None:
        """Note beside the socket how many sequences the engine generates at once: the gateway gives it no more.

        Args:
            path: the setting tree's ``sequences_path``.
            sequences: vLLM's ``--max-num-seqs``.

        Raises:
            StateUnusable: it cannot be written.
        """
        self._note(path, str(sequences))

    def _note(self, path: Path, text: str) -> None:
        draft = path.with_name(path.name + ".new")
        try:
            draft.write_text(f"{text}\n", encoding="ascii")
            draft.chmod(NOTE_MODE)
            draft.replace(path)
        except OSError as err:
            raise StateUnusable(f"The engine's socket directory cannot be used: {err.strerror}.") from None

    def hold_requests(self, path: Path, seconds: float) -> None:
        """Ask the gateway to let new requests wait: this engine is about to be replaced.

        Args:
            path: the setting tree's ``switching_path``.
            seconds: how long at most. The note ends by itself, should nobody live to take it back.

        Raises:
            StateUnusable: it cannot be written.
        """
        self._note(path, f"{time.monotonic() + seconds:.3f}")

    def let_requests_pass(self, path: Path) -> None:
        """Take back what :meth:`hold_requests` asked."""
        path.unlink(missing_ok=True)

    def restrict(self) -> None:
        """Give the socket its final mode; the umask has kept others out until here."""
        with contextlib.suppress(FileNotFoundError):  # the engine ended this instant
            self._socket_path.chmod(SOCKET_MODE)

    def release(self) -> None:
        """Give the claim back. The lock's file stays: removing it would race with the next claim."""
        os.close(self._lock)

    def _take(self, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise AlreadyRunning from None
                time.sleep(_POLL_SECONDS)
            else:
                return


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Non-blocking: a listener whose queue is full is a listener, and must not hold us up.
        probe.setblocking(False)
        return probe.connect_ex(str(path)) not in (errno.ECONNREFUSED, errno.ENOENT)
