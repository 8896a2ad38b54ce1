"""A supervised fake engine for tests: start it, see its processes, wait for what must come."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "fakes" / "supervised.py"


def until(condition, what, seconds=30.0):
    """The first true value of ``condition``; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"did not come within {seconds} s: {what}")


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class SupervisedEngine:
    """The supervisor's process, with the fake's control directory."""

    def __init__(self, state: Path, environment=None, **options):
        self.state = state
        self.socket_path = state / "run" / "engine.sock"
        self.log = state / "supervisor.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(state), json.dumps(options)],
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )

    def pids(self, kind=None):
        try:
            lines = [line.split() for line in (self.state / "pids").read_text().splitlines()]
        except FileNotFoundError:
            return []
        return [int(pid) for name, pid in lines if kind in (None, name)]

    def keepers(self):
        return [event["child_pid"] for event in self.events("engine starting")]

    def events(self, phrase):
        events = []
        for line in self.log.read_text().splitlines():
            if line.startswith("{"):
                event = json.loads(line)
                if event["event"] == phrase:
                    events.append(event)
        return events

    def wait_ready(self, times=1):
        until(lambda: len(self.events("engine ready")) >= times, f"ready {times} times: {self.log.read_text()}")

    def wait_gone(self):
        """Until no process of any run is left."""
        everyone = [*self.pids(), *self.keepers()]
        assert len(everyone) >= 4
        until(lambda: not any(alive(pid) for pid in everyone), f"all of {everyone} gone")

    def wait_exit(self):
        return self.process.wait(timeout=30)

    def fault(self, name):
        (self.state / name).touch()

    def clear(self, name):
        (self.state / name).unlink()

    def signal(self, number):
        self.process.send_signal(number)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        # A keeper that is killed with its supervisor cannot end what it keeps: it gets the time to.
        keepers = [pid for pid in self.keepers() if self._is_keeper(pid)]
        with suppress(AssertionError):
            until(lambda: not any(alive(pid) for pid in keepers), f"the keepers {keepers} gone")
        for pid in [*keepers, *self.pids()]:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _is_keeper(pid):
        try:
            return b"appliance.engine.keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False


class NotifySocket:
    """What systemd would hear."""

    def __init__(self, path: Path):
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.heard = []

    def lines(self):
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.heard

    def close(self):
        self._socket.close()
