"""The child processes of a foreground command: started, watched, and all of them ended with it.

Each child leads a process group of its own, so that Ctrl-C on the terminal
reaches only this process, which then stops them in order. If this process is
killed with SIGKILL, the kernel kills the children (``lifeline``).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import typer

from appliance.cli import interrupt
from appliance.core.backoff import Backoff
from appliance.errors import ProcessEnded
from appliance.lifeline import tied_to_this_process

_POLL_SECONDS = 0.05
#: What ``cli.main`` writes in front of a failure we know: our own words, fit to be shown.
_ERROR_PREFIX = "error: "
_TAIL_BYTES = 65_536


@dataclass(frozen=True)
class Child:
    """One running process.

    Args:
        name: what to call it ("engine").
        process: its handle.
        grace_seconds: how long it may take to stop before it is killed.
        log: file that gets both its outputs; None if they go to the terminal.
        command: program and arguments.
        backoff: the pause before it is started again if it ends by itself; None if the others cannot go on without it.
        started: when, monotonic seconds.
    """

    name: str
    process: subprocess.Popen[bytes]
    grace_seconds: float
    log: Path | None
    command: tuple[str, ...] = ()
    backoff: Backoff | None = None
    started: float = 0.0


class Children:
    """All children of this command. Use as a context manager; leaving it stops every one of them."""

    def __init__(self) -> None:
        self._running: list[Child] = []
        # Those that ended and can be done without: when each is started again (monotonic seconds), and its pauses.
        self._waiting: list[tuple[float, Child, Backoff]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        grace_seconds: float,
        log: Path | None = None,
        backoff: Backoff | None = None,
    ) -> Child:
        """Start one; call it from the main thread only.

        Args:
            name: what to call it.
            command: program and arguments.
            grace_seconds: how long it may take to stop.
            log: file for its outputs, made anew; the last one is kept as ``<name>.log.1``.
            backoff: given for one that the others can do without: it is started again after such a pause.
        """
        if log is None:
            process = _popen(command, None)
        else:
            log.parent.mkdir(parents=True, exist_ok=True)
            if log.exists():
                log.replace(log.with_name(f"{log.name}.1"))
            with log.open("wb") as output:
                process = _popen(command, output.fileno())
        child = Child(name, process, grace_seconds, log, tuple(command), backoff, time.monotonic())
        self._running.append(child)
        return child

    def check(self) -> None:
        """See that all still run, and start those again whose pause is over.

        Raises:
            ProcessEnded: one that is needed ended by itself; the message holds its own error line if it wrote one.
        """
        now = time.monotonic()
        for child in tuple(self._running):
            if child.process.poll() is not None:
                if child.backoff is None:
                    raise _ended(child)
                self._running.remove(child)
                self._put_off(child, child.backoff.after_failure(now - child.started), str(_ended(child)))
        due = [wait for wait in self._waiting if now >= wait[0]]
        self._waiting = [wait for wait in self._waiting if now < wait[0]]
        for _, child, backoff in due:
            try:
                self.start(child.name, child.command, child.grace_seconds, child.log, backoff)
            except (OSError, subprocess.SubprocessError) as err:  # no process or no room to be had just now
                self._put_off(child, backoff.after_failure(0.0), f"The {child.name} cannot be started: {err}.")

    def _put_off(self, child: Child, backoff: Backoff, why: str) -> None:
        """Have one that the others can do without started again later."""
        pause = backoff.delay_seconds
        typer.echo(f"{why} It is started again in {pause:.0f} s; the rest goes on.", err=True)
        self._waiting.append((time.monotonic() + pause, child, backoff))

    def stop(self) -> None:
        """Stop all, the last started first; a second stop signal meanwhile kills the rest at once."""
        self._waiting.clear()
        with interrupt.noted() as hurried:
            while self._running:
                _stop(self._running[-1], hurried)
                self._running.pop()


def _popen(command: Sequence[str], output: int | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=tied_to_this_process(),  # noqa: PLW1509 - the child makes two system calls, no lock is taken
    )


def _stop(child: Child, hurried: Callable[[], bool]) -> None:
    deadline = time.monotonic() + child.grace_seconds
    if child.process.poll() is None:
        child.process.terminate()
    while child.process.poll() is None and time.monotonic() < deadline and not hurried():
        time.sleep(_POLL_SECONDS)
    # The whole group: what the child itself started must not survive it.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait()


def _ended(child: Child) -> ProcessEnded:
    status = child.process.returncode
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
    where = f"Its log is {child.log}." if child.log else "Its last lines stand above."
    said = _own_words(child.log) if child.log else ""
    if said:
        return ProcessEnded(f"The {child.name} {how}: {said}", remedy=where)
    return ProcessEnded(f"The {child.name} {how}.", remedy=where)


def _own_words(log: Path) -> str:
    """The child's last error line, if it ended with a failure it knew."""
    lines: list[str] = []
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    known = [line.removeprefix(_ERROR_PREFIX) for line in lines if line.startswith(_ERROR_PREFIX)]
    return known[-1] if known else ""
