"""Claims about ``cli.children``; its end with the whole command is tested with ``serve``."""

from __future__ import annotations

import sys

import pytest

from appliance.cli.children import Children
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
