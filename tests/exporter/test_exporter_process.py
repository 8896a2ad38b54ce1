"""The whole process, over a real port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.foreground import free_port, wait_for
from tests.engine.supervised_engine import NotifySocket

ROOT = Path(__file__).resolve().parents[2]
REPLAYED = ("-m", "tests.fakes.exporter_process", "--port={port}")
OWN = ("-m", "appliance", "exporter")

pytestmark = pytest.mark.process


class Process:
    """A running exporter."""

    def __init__(self, *arguments: str) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, *(argument.format(port=self.port) for argument in arguments)],
            env={**os.environ, "APPLIANCE_EXPORTER__PORT": str(self.port)},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: self.process.poll() is not None or self._listens())

    def scrape(self, path: str = "/metrics") -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.read().decode()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Its exit status and what it logged."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def start():
    started: list[Process] = []

    def run(*arguments: str) -> Process:
        started.append(Process(*arguments))
        return started[-1]

    yield run
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_the_replayed_card_until_it_is_stopped(start, number):
    one = start(*REPLAYED)
    text = one.scrape()
    assert 'appliance_gpu_up{gpu="0"} 1\n' in text
    assert "DCGM_" not in text
    status, log = one.stop(number)
    assert status == 0
    assert "Traceback" not in log


def test_dcgm_names_are_there_when_asked_for(start):
    text = start(*REPLAYED, "--dcgm-names").scrape()
    assert 'DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-00000000-0000-4000-8000-0000000000a1"' in text


def test_with_a_call_that_hangs_it_answers_and_still_stops(start):
    one = start(*REPLAYED, "--hang", "nvmlDeviceGetPowerUsage")
    text = one.scrape()
    assert 'appliance_gpu_up{gpu="0"} 0\n' in text
    assert 'appliance_gpu_down_reason{gpu="0",reason="hung"} 1\n' in text
    assert one.stop()[0] == 0


def test_the_command_becomes_it_and_answers_on_this_machine_whatever_it_has(start):
    one = start(*OWN, "--dcgm-names")
    assert "appliance_exporter_nvml_available " in one.scrape()
    command = Path(f"/proc/{one.process.pid}/cmdline").read_text().split("\0")
    assert command[1:6] == ["-s", "-P", "-m", "appliance.exporter", "--host=127.0.0.1"]
    assert one.stop()[0] == 0


def test_a_taken_port_is_one_line_with_its_remedy(start):
    first = start(*REPLAYED)
    done = subprocess.run(
        [sys.executable, *OWN],
        env={**os.environ, "APPLIANCE_EXPORTER__PORT": str(first.port)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 69
    assert done.stderr.startswith(f"error: Port {first.port} is taken by another process.")
    assert done.stderr.count("\n") == 1


def test_it_loads_neither_the_settings_nor_the_command_line(start):
    code = (
        "import sys, appliance.exporter.__main__; "
        "print([name for name in ('pydantic', 'typer', 'fastapi', 'prometheus_client', 'appliance.settings') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_service_manager_is_told_of_start_life_and_end(state_dir):
    manager = NotifySocket(state_dir / "notify")
    one = start_notified(manager)
    try:
        wait_for(lambda: {"READY=1", "WATCHDOG=1"} <= set(manager.lines()))
    finally:
        one.terminate()
        assert one.wait(30) == 0
    assert manager.lines()[-1] == "STOPPING=1"
    manager.close()


def start_notified(manager):
    """``appliance exporter`` as systemd starts it: the process becomes the exporter's own and keeps its number."""
    return subprocess.Popen(
        [sys.executable, "-m", "appliance", "exporter"],
        env={
            **os.environ,
            "APPLIANCE_EXPORTER__PORT": str(free_port()),
            "NOTIFY_SOCKET": str(manager.path),
            "WATCHDOG_USEC": "1000000",
        },
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )


def test_it_answers_on_a_socket_that_it_is_handed_and_opens_none(state_dir):
    # As a service manager does: the socket is descriptor 3, and the number of the process is in the environment.
    start = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        "os.execv(sys.executable, [sys.executable, '-m', 'appliance', 'exporter'])"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        one = subprocess.Popen(
            [sys.executable, "-c", start, str(listener.fileno())],
            env={**os.environ, "LISTEN_FDS": "1", "APPLIANCE_EXPORTER__PORT": "1"},
            pass_fds=(listener.fileno(),),
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            assert b"appliance_" in answer.read()
    finally:
        one.terminate()
        _, err = one.communicate(timeout=30)
    assert f'"port": {port}' in err or f'"port":{port}' in err
