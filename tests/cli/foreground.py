"""Runs ``appliance serve`` and ``appliance demo`` as real processes over stand-ins of their children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

FAKE = Path(__file__).parents[1] / "fakes" / "appliance_process.py"
#: The real command line, with the stand-ins as the processes it starts and, for the demo, a model that is prepared.
#: ``FAKE_GPU`` in the environment is a GPU: then the real exporter runs, over the replayed H100.
DRIVER = f"""
import os, sys
from appliance.bundles import prepare
from appliance.cli import demo, exporter, serve
from appliance.cli.main import main
from appliance.core.backoff import Backoff
serve.APPLIANCE = (sys.executable, {str(FAKE)!r})
serve.EXTRA_GRACE_SECONDS = 0.2
serve.EXPORTER_BACKOFF = Backoff(first_seconds=0.1, max_seconds=0.2)
serve.hardware.nvidia_sign = lambda: os.environ.get("FAKE_GPU", "")
exporter._PROCESS = ("-m", "tests.fakes.exporter_process")
if sys.argv[1] == "demo":
    find = prepare.find
    prepare.find = lambda *_: prepare.Found(find(*_).directory, whole=True)
    demo.DEMO_MEMORY_BYTES = 0
main()
"""
DEADLINE_SECONDS = 30.0


class Foreground:
    """One running command.

    Args:
        arguments: of ``appliance``; ``--state-dir`` is added.
        state_dir: state directory.
        environment: more variables.
    """

    def __init__(self, *arguments: str, state_dir: Path, **environment: str) -> None:
        self.state_dir = state_dir
        self.port = int(environment.setdefault("APPLIANCE_GATEWAY__PORT", str(free_port())))
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *arguments, "--state-dir", str(state_dir)],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.err: list[str] = []
        self.out: list[str] = []
        self._readers = [
            threading.Thread(target=_collect, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def says(self, text: str) -> None:
        """Wait until standard error holds ``text``."""
        wait_for(lambda: text in "".join(self.err) or self._ended())
        assert text in "".join(self.err), "".join(self.err)

    def children(self) -> list[int]:
        """Process ids of both children and what they started, once they run."""
        files = [self.state_dir / f"{name}.pid" for name in ("engine", "gateway")]
        wait_for(lambda: all(file.exists() for file in files))
        return [int(pid) for file in files for pid in file.read_text().split()]

    def exporter(self) -> int | None:
        """Process id of the exporter, if one runs."""
        for place in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                command = (place / "cmdline").read_text()
            except OSError:
                continue  # it has just ended
            if parent == self.process.pid and "tests.fakes.exporter_process" in command:
                return int(place.name)
        return None

    def stop(self, number: signal.Signals) -> int:
        """Send a signal to the command alone, and give its exit status."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end."""
        try:
            status = self.process.wait(DEADLINE_SECONDS)
        finally:
            self.process.kill()
        for reader in self._readers:
            reader.join(DEADLINE_SECONDS)
        assert self.process.stdout
        assert self.process.stderr
        self.process.stdout.close()
        self.process.stderr.close()
        return status

    def _ended(self) -> bool:
        return self.process.poll() is not None and not any(reader.is_alive() for reader in self._readers)


def lives(pid: int) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def wait_for(condition: Callable[[], bool]) -> None:
    """Look again and again until it holds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the wait was in vain"
        time.sleep(0.02)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _collect(stream, lines: list[str]) -> None:
    while character := stream.readline():
        lines.append(character)
