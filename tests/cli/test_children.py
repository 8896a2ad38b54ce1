"""Claims about ``cli.children``; its end with the whole command is tested with ``serve``."""

from __future__ import annotations

import sys

import pytest

from appliance.cli.children import Children
from appliance.core.backoff import Backoff
from appliance.errors import ProcessEnded
from tests.cli.foreground import lives, wait_for

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_leaving_the_block_stops_all_also_by_an_error() -> None:
    pids: list[int] = []

    with pytest.raises(ZeroDivisionError):
        _start_two_and_fail(pids)

    assert len(pids) == 2
    assert not any(map(lives, pids))


def _start_two_and_fail(pids: list[int]) -> None:
    with Children() as children:
        pids += [children.start(name, SLEEP, 10.0).process.pid for name in ("engine", "gateway")]
        children.check()
        raise ZeroDivisionError


def test_a_signal_that_ended_a_child_is_named() -> None:
    with Children() as children:
        child = children.start("engine", SLEEP, 10.0)
        child.process.kill()
        wait_for(lambda: child.process.poll() is not None)

        with pytest.raises(ProcessEnded, match="The engine was killed by SIGKILL"):
            children.check()


def test_only_a_childs_own_last_error_line_is_quoted(tmp_path) -> None:
    code = "import sys; print('error: first'); print('prompt of a student'); sys.exit('error: Second thing. Do this.')"
    with Children() as children:
        child = children.start("gateway", [sys.executable, "-c", code], 10.0, tmp_path / "log" / "gateway.log")
        wait_for(lambda: child.process.poll() is not None)

        with pytest.raises(ProcessEnded) as failure:
            children.check()

    assert failure.value.message == "The gateway ended with exit status 1: Second thing. Do this."
    assert failure.value.remedy == f"Its log is {tmp_path / 'log' / 'gateway.log'}."


def test_one_that_can_be_done_without_is_started_again_after_longer_and_longer_pauses(tmp_path, capsys) -> None:
    note = tmp_path / "starts"
    code = f"open({str(note)!r}, 'a').write('x')"
    with Children() as children:
        needed = children.start("engine", SLEEP, 10.0)
        children.start("exporter", [sys.executable, "-c", code], 1.0, backoff=Backoff(0.01, 0.02))

        def has_been_started_three_times() -> bool:
            children.check()
            return note.exists() and len(note.read_text()) >= 3

        wait_for(has_been_started_three_times)
        assert needed.process.poll() is None
    said = capsys.readouterr().err.splitlines()
    assert len(said) >= 2
    assert set(said) == {
        "The exporter ended with exit status 0. Its last lines stand above. It is started again in 0 s; the rest goes on."
    }


def test_one_that_cannot_be_started_now_is_tried_again_later(tmp_path, capsys) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    with Children() as children:
        child = children.start("exporter", [str(program)], 1.0, backoff=Backoff(0.01, 0.02))
        program.rename(tmp_path / "away")
        child.process.kill()

        def says(text: str) -> bool:
            children.check()
            nonlocal said
            said += capsys.readouterr().err
            return text in said

        said = ""
        wait_for(lambda: says("The exporter cannot be started: "))
        (tmp_path / "away").rename(program)
        wait_for(lambda: children.check() or len(children._running) == 1)
        assert children._running[0].process.pid != child.process.pid


def test_nothing_is_started_again_after_the_end(capsys) -> None:
    with Children() as children:
        child = children.start("exporter", [sys.executable, "-c", ""], 1.0, backoff=Backoff(0.0, 0.0))
        wait_for(lambda: child.process.poll() is not None)
        children.check()
        assert "It is started again" in capsys.readouterr().err
    children.check()
    assert children._running == []
