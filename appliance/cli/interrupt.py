"""Ctrl-C and stop signals: an orderly end at any moment, a hurried one when asked twice."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

#: What asks a foreground command to stop: Ctrl-C, a service manager, a closed terminal.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOHUP = (signal.SIGHUP, signal.SIG_IGN)


class Interrupted(KeyboardInterrupt):
    """A stop signal came.

    Args:
        signum: its number; :attr:`exit_code` follows the shell's convention.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.exit_code = 128 + signum
        super().__init__(signal.Signals(signum).name)


@contextmanager
def raised() -> Iterator[None]:
    """Within, a stop signal raises :class:`Interrupted` in the main thread.

    SIGINT is set too, since a shell starts background jobs with it ignored.
    """

    def stop(signum: int, _frame: FrameType | None) -> None:
        raise Interrupted(signum)

    with _handled(stop):
        yield


@contextmanager
def noted() -> Iterator[Callable[[], bool]]:
    """Within, a stop signal raises nothing; the callable it gives says whether one came."""
    came: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        came.append(signum)

    with _handled(note):
        yield lambda: bool(came)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    # nohup(1) lets a command ignore the closed terminal: that stays as it is.
    wanted = [number for number in SIGNALS if (number, signal.getsignal(number)) != _NOHUP]
    before = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
