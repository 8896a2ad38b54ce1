"""The supervisor over a fake vLLM of several processes: restarts, stops, and never leaves an orphan."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from tests.engine.supervised_engine import NotifySocket, alive, until

pytestmark = pytest.mark.process


def test_no_process_survives_sigkill_of_the_supervisor(supervised):
    engine = supervised()
    engine.wait_ready()
    engine.signal(signal.SIGKILL)
    engine.wait_gone()
    assert engine.wait_exit() == -signal.SIGKILL


def test_no_process_survives_sigkill_of_the_keeper_and_the_engine_comes_back(supervised):
    engine = supervised()
    engine.wait_ready()
    first = [*engine.pids(), *engine.keepers()]
    os.kill(engine.keepers()[0], signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in first), "the first run gone")
    engine.wait_ready(times=2)
    assert engine.events("engine stopped unexpectedly")[0]["reason"] == "dead"


def test_no_process_survives_the_death_of_vllms_first_process(supervised):
    engine = supervised()
    engine.wait_ready()
    first = engine.pids()
    os.kill(engine.pids("api")[0], signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in first), "the first run gone")
    engine.wait_ready(times=2)
    assert engine.events("engine stopped unexpectedly")[0]["exit_status"] == 137


def test_no_process_survives_sigkill_of_the_supervisor_while_the_model_loads(supervised):
    engine = supervised()
    engine.fault("silent-start")
    until(lambda: len(engine.pids()) == 3, "three processes")
    engine.signal(signal.SIGKILL)
    engine.wait_gone()
    assert engine.wait_exit() == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_is_passed_on_and_everything_ends_in_order(supervised, number):
    engine = supervised()
    engine.wait_ready()
    engine.signal(number)
    assert engine.wait_exit() == 0
    assert (engine.state / "signals").read_text().split() == [number.name]
    engine.wait_gone()
    assert not engine.socket_path.exists()


def test_engine_that_ignores_the_signal_is_killed_after_the_grace(supervised):
    engine = supervised(grace=0.2)
    engine.fault("stubborn")
    engine.wait_ready()
    engine.signal(signal.SIGTERM)
    assert engine.wait_exit() == 0
    engine.wait_gone()


def test_second_signal_does_not_wait_for_the_grace(supervised):
    engine = supervised(grace=3600.0)
    engine.fault("stubborn")
    engine.wait_ready()
    engine.signal(signal.SIGTERM)
    until((engine.state / "signals").exists, "the signal at the engine")
    engine.signal(signal.SIGTERM)
    assert engine.wait_exit() == 0
    engine.wait_gone()


def test_exit_zero_that_nobody_asked_for_is_a_death(supervised):
    engine = supervised()
    engine.wait_ready()
    engine.fault("exit-0")
    engine.wait_ready(times=2)
    stopped = engine.events("engine stopped unexpectedly")
    assert [(event["reason"], event["exit_status"]) for event in stopped] == [("dead", 0)]


@pytest.mark.parametrize("fault", ["hang", "core-hang"])
def test_hung_engine_is_killed_and_restarted(supervised, fault):
    engine = supervised()
    engine.wait_ready()
    first = engine.pids()
    engine.fault(fault)
    until(lambda: engine.events("engine stopped unexpectedly"), "the hang noticed")
    engine.clear(fault)
    engine.wait_ready(times=2)
    assert engine.events("engine stopped unexpectedly")[0]["reason"] == "hung"
    assert not any(alive(pid) for pid in first)


def test_saturated_engine_whose_counters_move_is_left_alone(supervised):
    engine = supervised()
    engine.wait_ready()
    engine.fault("busy")
    stopped = (lambda: engine.events("engine stopped unexpectedly"), "never", 3.0)
    with pytest.raises(AssertionError, match="did not come"):
        until(*stopped)  # three times the limit
    engine.clear("busy")
    assert len(engine.keepers()) == 1


def test_engine_that_never_answers_is_given_up_without_restarts(supervised):
    engine = supervised(restart=False, startup=1.0)
    engine.fault("silent-start")
    assert engine.wait_exit() == 70
    assert "did not start in time before its first token" in engine.log.read_text()
    engine.wait_gone()


def test_engine_that_dies_at_start_is_a_clear_failure_without_restarts(supervised, state_dir):
    (state_dir / "exit-at-start").touch()
    engine = supervised(restart=False)
    assert engine.wait_exit() == 70
    assert "error: The engine died before its first token" in engine.log.read_text()
    assert "Traceback" not in engine.log.read_text()


def test_engine_that_never_starts_is_given_up_after_the_last_attempt(supervised, state_dir):
    (state_dir / "exit-at-start").touch()
    engine = supervised(start_attempts=2)
    assert engine.wait_exit() == 70
    assert len(engine.events("engine starting")) == 2
    assert "error: The engine died before its first token" in engine.log.read_text()


def test_engine_that_has_served_is_started_for_ever(supervised):
    engine = supervised(start_attempts=1)
    for time in (1, 2, 3):
        engine.wait_ready(times=time)
        os.kill(next(pid for pid in engine.pids("api") if alive(pid)), signal.SIGKILL)
    engine.wait_ready(times=4)
    assert len(engine.events("engine stopped unexpectedly")) == 3


def test_death_after_service_says_so_without_restarts(supervised):
    engine = supervised(restart=False)
    engine.wait_ready()
    engine.fault("exit-3")
    assert engine.wait_exit() == 70
    assert "of service (exit status 3)" in engine.log.read_text()


def test_socket_left_by_a_killed_engine_does_not_stop_the_next(supervised):
    engine = supervised()
    engine.wait_ready()
    engine.signal(signal.SIGKILL)
    engine.wait_gone()
    assert engine.socket_path.exists()
    again = supervised()
    again.wait_ready(times=2)
    assert stat.S_IMODE(again.socket_path.stat().st_mode) == 0o660


def test_second_engine_on_the_same_socket_is_refused_even_while_the_first_loads(supervised):
    first = supervised()
    first.fault("silent-start")
    until(lambda: first.pids("api"), "the socket bound")
    second = supervised()
    assert second.wait_exit() == 69
    assert "An engine already listens" in second.log.read_text()
    assert alive(first.pids("api")[0])


def test_next_engine_waits_for_the_last_process_of_a_killed_one(supervised):
    first = supervised()
    first.wait_ready()
    os.kill(first.keepers()[0], signal.SIGSTOP)
    first.signal(signal.SIGKILL)
    first.wait_exit()
    second = supervised()
    assert second.wait_exit() == 69
    os.kill(first.keepers()[0], signal.SIGCONT)
    first.wait_gone()


def test_service_manager_hears_of_readiness_only_after_a_token(supervised, state_dir):
    manager = NotifySocket(state_dir / "notify")
    (state_dir / "core-hang").touch()
    engine = supervised(environment={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "60000000"})
    until(lambda: engine.pids("api"), "the engine listens")
    assert "READY=1" not in manager.lines()
    engine.clear("core-hang")
    until(lambda: manager.lines().count("WATCHDOG=1") >= 5, "the watchdog fed")
    heard = manager.lines()
    engine.signal(signal.SIGTERM)
    engine.wait_exit()
    assert heard.index("STATUS=Loading fake") < heard.index("READY=1") < heard.index("WATCHDOG_USEC=60000000")
    assert "STOPPING=1" in manager.lines()
    manager.close()


def test_watchdog_is_not_fed_while_no_token_comes(supervised, state_dir):
    manager = NotifySocket(state_dir / "notify")
    engine = supervised(environment={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "60000000"})
    until(lambda: "READY=1" in manager.lines(), "ready")
    engine.fault("core-hang")
    until(lambda: engine.events("engine stopped unexpectedly"), "the hang noticed")
    last = manager.lines()
    # Between the last good token and the verdict (1 s, probes every 0.1 s) nothing was fed.
    before = last[: last.index(next(line for line in last if line.startswith("STATUS=The engine hangs")))]
    assert before.count("WATCHDOG=1") < 10
    manager.close()


def test_engine_sees_only_the_environment_of_its_launch_line(supervised, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    engine = supervised()
    engine.wait_ready()
    seen = json.loads((engine.state / "environment").read_text().splitlines()[0])
    # LC_CTYPE is Python's own doing (PEP 538).
    assert set(seen) - {"LC_CTYPE"} == {"PATH"}


def test_engine_inherits_no_descriptor_of_the_supervisor(supervised):
    engine = supervised()
    engine.wait_ready()
    links = [str(link.readlink()) for link in Path(f"/proc/{engine.pids('api')[0]}/fd").iterdir()]
    assert not [link for link in links if link.startswith("pipe:") or link.endswith(".lock")]


def test_listening_stranger_on_the_socket_is_not_pushed_aside(supervised, state_dir):
    (state_dir / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(state_dir / "run" / "engine.sock"))
        stranger.listen(1)
        engine = supervised()
        assert engine.wait_exit() == 69
    assert not engine.pids()
