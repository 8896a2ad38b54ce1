"""The keeper alone: status, signals, lifeline. What it keeps is tested with the supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.engine.supervised_engine import alive, until

pytestmark = pytest.mark.process


@pytest.fixture
def keep():
    """Start a keeper over a shell command; gives the process and the lifeline's write end."""
    started, ends = [], []

    def start(script):
        read_end, write_end = os.pipe()
        keeper = subprocess.Popen(
            [sys.executable, "-m", "appliance.engine.keeper", str(read_end), "sh", "-c", script],
            pass_fds=(read_end,),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        os.close(read_end)
        started.append(keeper)
        ends.append(write_end)
        return keeper, write_end

    yield start
    for keeper in started:
        keeper.kill()
        keeper.wait()
        keeper.stdout.close()
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill $$", 143)])
def test_exit_status_is_that_of_the_command(keep, script, status):
    keeper, _ = keep(script)
    assert keeper.wait(timeout=30) == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_reaches_the_command(keep, number):
    script = "trap 'exit 21' TERM; trap 'exit 22' INT; echo up; while :; do sleep 0.05; done"
    keeper, _ = keep(script)
    assert keeper.stdout.readline() == "up\n"
    keeper.send_signal(number)
    assert keeper.wait(timeout=30) == (21 if number == signal.SIGTERM else 22)


def test_end_of_the_lifeline_ends_everything(keep):
    keeper, lifeline = keep("trap '' TERM; sleep 600 & echo $!; wait")
    sleeper = int(keeper.stdout.readline())
    os.close(lifeline)
    assert keeper.wait(timeout=30) == 137
    assert not alive(sleeper)


def test_what_the_command_leaves_behind_is_ended_with_it(keep):
    keeper, _ = keep("setsid sleep 600 >/dev/null & echo $!; exit 3")
    sleeper = int(keeper.stdout.readline())
    assert keeper.wait(timeout=30) == 3
    assert not alive(sleeper)


def test_command_dies_with_a_killed_keeper(keep):
    keeper, _ = keep("echo $$; exec sleep 600")
    command = int(keeper.stdout.readline())
    keeper.kill()
    until(lambda: not alive(command), "the command gone")
    assert keeper.wait(timeout=30) == -signal.SIGKILL


def test_orphans_that_end_early_are_collected(keep):
    keeper, _ = keep("(sleep 0.1 & echo $!); while :; do sleep 0.05; done")
    orphan = int(keeper.stdout.readline())
    until(lambda: not os.path.exists(f"/proc/{orphan}"), "the zombie collected")  # noqa: PTH110  a process is no file
    assert keeper.poll() is None
