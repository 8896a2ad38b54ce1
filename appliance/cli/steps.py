"""The steps of a long command as people see them: what goes on, how far it is, how long it took.

On a terminal a line that moves, elsewhere (a log, a pipe) plain lines, the
first at the start of a step and then one every ten seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import DownloadColumn, Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from appliance.core.preflight import gigabytes

_PLAIN_INTERVAL_SECONDS = 10.0


class Step:
    """One step under way.

    Args:
        console: where plain lines go.
        moving: the moving line of a terminal, None elsewhere.
        title: what is done, as the moving line shows it.
    """

    def __init__(self, console: Console, moving: Progress | None, title: str) -> None:
        #: Said behind the step's time when it is done.
        self.outcome = ""
        self._console = console
        self._moving = moving
        self._title = title
        self._started = self._said = time.monotonic()
        self._task = moving.add_task(title, total=None) if moving else None

    def tick(self) -> None:
        """Time passes; call it at least every few seconds."""
        self._plain("")

    def count(self, done: int, total: int) -> None:
        """``done`` of ``total`` bytes are there."""
        if self._moving and self._task is not None:
            self._moving.update(self._task, completed=done, total=total)
        self._plain(f", {gigabytes(done)} of {gigabytes(total)}")

    def progress(self, text: str) -> None:
        """How far it is, in words."""
        if self._moving and self._task is not None:
            self._moving.update(self._task, description=f"{self._title}: {text}"[:100])
        self._plain(f", {text}")

    def say(self, text: str) -> None:
        """A line that stays."""
        (self._moving.console if self._moving else self._console).print(f"      {text}")

    def seconds(self) -> float:
        """Since the step began."""
        return time.monotonic() - self._started

    def _plain(self, what: str) -> None:
        now = time.monotonic()
        if self._moving is None and now - self._said >= _PLAIN_INTERVAL_SECONDS:
            self._said = now
            self._console.print(f"      {now - self._started:.0f} s{what}")


class Steps:
    """The numbered steps of one command.

    Args:
        total: how many there will be.
        console: standard error, by default.
    """

    def __init__(self, total: int, console: Console | None = None) -> None:
        self._total = total
        self._number = 0
        self._console = console or Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show ``title`` while the body runs, then how long it took and the step's outcome."""
        self._number += 1
        head = f"[{self._number}/{self._total}] {title}"
        if self._console.is_terminal:
            with _moving_line(self._console) as moving:
                step = Step(self._console, moving, head)
                yield step
            self._console.print(f"{head}: {step.seconds():.1f} s{_behind(step.outcome)}")
        else:
            self._console.print(f"{head} ...")
            step = Step(self._console, None, head)
            yield step
            self._console.print(f"      done in {step.seconds():.1f} s{_behind(step.outcome)}")


def _behind(outcome: str) -> str:
    return f", {outcome}" if outcome else ""


def _moving_line(console: Console) -> Progress:
    text = TextColumn("{task.description}", markup=False)
    return Progress(SpinnerColumn("line"), text, _Counted(), TimeElapsedColumn(), console=console, transient=True)


class _Counted(DownloadColumn):
    """Bytes done of bytes in all, nothing where a step has no bytes to count."""

    def render(self, task: Task) -> Text:
        """The column's text for one task."""
        return super().render(task) if task.total else Text("")
