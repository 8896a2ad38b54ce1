"""Claims about ``appliance serve``, with stand-ins for the two processes it starts."""

from __future__ import annotations

import os
import signal
import socket

import httpx
import pytest

from appliance import settings
from appliance.cli import serve
from appliance.errors import AlreadyRunning, EngineStartFailed, StateUnusable
from tests.cli.foreground import Foreground, free_port, lives, wait_for

pytestmark = pytest.mark.process


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_stop_signal_ends_every_process_the_gateway_first(state_dir, number: signal.Signals, status: int) -> None:
    command = Foreground("serve", state_dir=state_dir)
    command.says(f"http://127.0.0.1:{command.port}/v1")
    children = command.children()

    assert command.stop(number) == status
    assert not any(map(lives, children))
    # The gateway goes first, so that running answers can end.
    ends = {name: float((state_dir / f"{name}.end").read_text()) for name in ("gateway", "engine")}
    assert ends["gateway"] < ends["engine"]


def test_no_child_survives_a_parent_that_is_killed(state_dir) -> None:
    command = Foreground("serve", state_dir=state_dir)
    command.says("ready after")
    children = command.children()

    assert command.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_for(lambda: not any(map(lives, children)))


def test_a_child_that_does_not_stop_is_killed_with_what_it_started(state_dir) -> None:
    command = Foreground(
        "serve", state_dir=state_dir, FAKE_ENGINE="stubborn", APPLIANCE_ENGINE__SHUTDOWN_GRACE_SECONDS="0"
    )
    command.says("ready after")
    children = command.children()

    assert len(children) == 3
    assert command.stop(signal.SIGTERM) == 0
    assert not any(map(lives, children))


def test_a_second_stop_signal_does_not_wait_for_the_grace(state_dir) -> None:
    command = Foreground(
        "serve", state_dir=state_dir, FAKE_ENGINE="stubborn", APPLIANCE_ENGINE__SHUTDOWN_GRACE_SECONDS="600"
    )
    command.says("ready after")
    children = command.children()
    command.process.send_signal(signal.SIGTERM)
    wait_for((state_dir / "gateway.end").exists)

    assert command.stop(signal.SIGTERM) == 0
    assert not any(map(lives, children))


def test_a_child_that_ends_by_itself_ends_the_command_with_the_childs_own_words(state_dir) -> None:
    command = Foreground("serve", "--log-files", state_dir=state_dir, FAKE_ENGINE="dies", FAKE_GATEWAY="starting")
    children = command.children()

    assert command.ended() == 70
    assert command.err[-1] == (
        "error: The engine ended with exit status 69: There is not enough free memory for the model. "
        f"Close other programs. Its log is {state_dir}/log/engine.log.\n"
    )
    assert not any(map(lives, children))


def test_a_childs_traceback_stays_in_its_log(state_dir) -> None:
    command = Foreground("serve", "--log-files", state_dir=state_dir, FAKE_ENGINE="crashes", FAKE_GATEWAY="starting")

    assert command.ended() == 70
    assert command.err[-1].startswith("error: The engine ended with exit status 1. Its log is ")
    assert "secret of the engine" in (state_dir / "log" / "engine.log").read_text()


def test_the_last_run_keeps_its_log(state_dir) -> None:
    for _ in range(2):
        command = Foreground("serve", "--log-files", state_dir=state_dir)
        command.says("ready after")
        command.stop(signal.SIGTERM)

    assert {path.name for path in (state_dir / "log").iterdir()} == {
        f"{name}.log{end}" for name in ("engine", "gateway") for end in ("", ".1")
    }


def test_an_engine_that_never_generates_is_given_up(state_dir) -> None:
    command = Foreground(
        "serve", state_dir=state_dir, FAKE_GATEWAY="starting", APPLIANCE_ENGINE__STARTUP_TIMEOUT_SECONDS="0.5"
    )
    children = command.children()

    assert command.ended() == EngineStartFailed.exit_code
    assert "error: The model generated nothing within" in "".join(command.err)
    assert not any(map(lives, children))


def telemetry(port: int) -> str:
    """What the exporter serves; nothing while it does not."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=10).text
    except httpx.TransportError:
        return ""


def test_with_a_gpu_the_exporter_runs_beside_the_two_and_ends_with_them(state_dir) -> None:
    port = free_port()
    command = Foreground("serve", state_dir=state_dir, FAKE_GPU="PCI device", APPLIANCE_EXPORTER__PORT=str(port))
    command.says("ready after")
    wait_for(lambda: 'appliance_gpu_up{gpu="0"} 1' in telemetry(port))

    assert command.stop(signal.SIGTERM) == 0
    assert telemetry(port) == ""


def test_an_exporter_that_dies_is_started_again_and_takes_nothing_down(state_dir) -> None:
    port = free_port()
    command = Foreground(
        "serve", "--log-files", state_dir=state_dir, FAKE_GPU="PCI device", APPLIANCE_EXPORTER__PORT=str(port)
    )
    command.says("ready after")
    children = command.children()
    for _ in range(2):
        wait_for(lambda: telemetry(port))
        dead = command.exporter()
        assert dead is not None
        os.kill(dead, signal.SIGKILL)
        wait_for(lambda dead=dead: command.exporter() not in {None, dead})
    command.says("The exporter was killed by SIGKILL.")

    assert all(map(lives, children))
    assert command.stop(signal.SIGTERM) == 0


def test_an_exporter_without_a_port_is_told_of_and_takes_nothing_down(state_dir) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = Foreground(
            "serve", "--log-files", state_dir=state_dir, FAKE_GPU="PCI device", APPLIANCE_EXPORTER__PORT=port
        )
        command.says("ready after")
        command.says("The exporter ended with exit status 69: ")
        command.says("It is started again in 0 s; the rest goes on.")
        assert all(map(lives, command.children()))
        assert command.stop(signal.SIGTERM) == 0


def test_without_a_gpu_one_line_says_so(state_dir) -> None:
    command = Foreground("serve", state_dir=state_dir)
    command.says("ready after")

    assert "".join(command.err).count("No NVIDIA GPU in this machine: the GPU exporter is not started.\n") == 1
    assert command.exporter() is None
    assert command.stop(signal.SIGTERM) == 0


def test_a_state_directory_serves_one_command_at_a_time(state_dir) -> None:
    tree = settings.load(state_dir=state_dir)

    with serve.hold(tree), pytest.raises(AlreadyRunning), serve.hold(tree):
        pytest.fail("both hold it")
    with serve.hold(tree):
        assert (state_dir / "serve.lock").exists()


def test_a_state_directory_that_cannot_be_made_is_named(state_dir) -> None:
    (state_dir / "file").touch()
    tree = settings.load(state_dir=state_dir / "file" / "below")

    with pytest.raises(StateUnusable), serve.hold(tree):
        pytest.fail("it holds what cannot be")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/v1"),
        ("0.0.0.0", "http://127.0.0.1:8080/v1"),
        ("::", "http://[::1]:8080/v1"),
        ("box.local", "http://box.local:8080/v1"),
    ],
)
def test_the_base_url_can_be_reached_from_this_machine(monkeypatch, host: str, url: str) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__HOST", host)

    assert serve.base_url(settings.load()) == url
