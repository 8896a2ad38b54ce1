"""Claims about ``cli.steps``."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from appliance.cli import steps
from appliance.cli.steps import Steps


def _console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, markup=False, highlight=False)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_terminal_a_step_is_two_plain_lines() -> None:
    console = _console(terminal=False)

    with Steps(2, console).step("Fetch [it]") as step:
        step.outcome = "98 MB"

    assert _text(console) == "[1/2] Fetch [it] ...\n      done in 0.0 s, 98 MB\n"


def test_without_a_terminal_progress_comes_as_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter((0.0, 1.0, 10.5, 11.0, 21.0, 22.0))
    monkeypatch.setattr(steps.time, "monotonic", lambda: next(now))
    console = _console(terminal=False)

    with Steps(1, console).step("Load") as step:
        step.tick()
        step.count(45_000_000, 93_000_000)
        step.tick()
        step.tick()

    assert _text(console).splitlines()[1:] == [
        "      10 s, 45 MB of 93 MB",
        "      21 s",
        "      done in 22.0 s",
    ]


def test_on_a_terminal_the_step_ends_as_one_line_with_its_time() -> None:
    console = _console(terminal=True)

    with Steps(3, console).step("Fetch [it]") as step:
        step.count(1, 2)
        step.say("A line that stays")
        step.outcome = "98 MB"

    assert "A line that stays" in _text(console)
    assert "[1/3] Fetch [it]: 0.0 s, 98 MB" in _text(console)


def test_a_failed_step_does_not_claim_to_be_done() -> None:
    console = _console(terminal=False)

    with pytest.raises(ValueError, match="broken"), Steps(1, console).step("Fetch"):
        raise ValueError("broken")

    assert _text(console) == "[1/1] Fetch ...\n"


def test_steps_are_numbered() -> None:
    console = _console(terminal=False)
    numbered = Steps(2, console)

    with numbered.step("First"):
        pass
    with numbered.step("Second"):
        pass

    assert [line for line in _text(console).splitlines() if line.startswith("[")] == [
        "[1/2] First ...",
        "[2/2] Second ...",
    ]
