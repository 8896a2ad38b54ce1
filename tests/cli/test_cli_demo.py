"""Claims about ``appliance demo`` with a prepared model and stand-ins for engine and gateway."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.cli.foreground import Foreground, lives

pytestmark = pytest.mark.process


def test_once_asks_prints_what_an_app_needs_and_leaves_nothing_running(state_dir) -> None:
    command = Foreground("demo", "--once", state_dir=state_dir)
    children = command.children()

    assert command.ended() == 0
    key = (state_dir / "demo-key").read_text().strip()
    said = "".join(command.out)
    assert "받아올림 빠뜨림 / carry dropped in addition" in said
    assert "맞음 / right" in said
    assert f"base_url  http://127.0.0.1:{command.port}/v1" in said
    assert f"api_key   {key}" in said
    assert f"curl -sS http://127.0.0.1:{command.port}/v1/chat/completions -H 'Authorization: Bearer {key}'" in said
    assert not any(map(lives, children))


def test_every_step_says_what_it_does_and_how_long_it_took_and_the_key_is_used_again(state_dir) -> None:
    keys = []
    for _ in range(2):
        command = Foreground("demo", "--once", state_dir=state_dir)
        command.ended()
        keys.append((state_dir / "demo-key").read_text())

    lines = "".join(command.err).splitlines()
    assert [line[:5] for line in lines if line.startswith("[")] == [f"[{number}/7]" for number in range(1, 8)]
    assert len([line for line in lines if line.strip().startswith("done in ")]) == 7
    assert "\x1b" not in "".join(command.err)
    assert keys[0] == keys[1]


def test_without_once_it_serves_until_ctrl_c(state_dir) -> None:
    command = Foreground("demo", state_dir=state_dir)
    command.says("Serving until Ctrl-C.")
    children = command.children()

    assert all(map(lives, children))
    assert command.stop(signal.SIGINT) == 130
    assert not any(map(lives, children))
    assert "Traceback" not in "".join(command.err)


def test_ctrl_c_while_the_model_loads_ends_every_process(state_dir) -> None:
    command = Foreground("demo", state_dir=state_dir, FAKE_GATEWAY="starting")
    command.says("[5/7]")
    children = command.children()

    assert command.stop(signal.SIGINT) == 130
    assert not any(map(lives, children))
    assert "Traceback" not in "".join(command.err)


def test_an_engine_that_fails_is_one_line_with_the_log(state_dir) -> None:
    command = Foreground("demo", state_dir=state_dir, FAKE_ENGINE="dies", FAKE_GATEWAY="starting")
    children = command.children()

    assert command.ended() == 70
    last = command.err[-1]
    assert last.startswith("error: The engine ended with exit status 69: There is not enough free memory")
    assert str(state_dir / "log" / "engine.log") in last
    assert not any(map(lives, children))


@pytest.mark.parametrize("variable", ["APPLIANCE_GATEWAY__PORT", "APPLIANCE_GATEWAY__ADMIN_PORT"])
def test_a_taken_port_is_one_line_that_names_the_process(state_dir, variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = Foreground("demo", state_dir=state_dir, **{variable: str(port)})

        assert command.ended() == 69
    assert command.err[-1].startswith(f"error: Port {port} is taken by ")
    assert f"with {variable}." in command.err[-1]
    assert not list(state_dir.glob("*.pid"))


def test_a_second_demo_in_the_same_state_directory_is_refused(state_dir) -> None:
    first = Foreground("demo", state_dir=state_dir)
    first.says("Serving until Ctrl-C.")
    second = Foreground("demo", state_dir=state_dir)

    assert second.ended() == 69
    assert "".join(second.err) == (
        f"error: Another `appliance serve` or `demo` runs in {state_dir}. "
        "Stop that one first, or give another --state-dir and port.\n"
    )
    assert first.stop(signal.SIGTERM) == 143
