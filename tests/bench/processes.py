"""Processes that are measured: on which core they run, what they cost, and that none outlives the run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from appliance.lifeline import tied_to_this_process

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
CORES = sorted(os.sched_getaffinity(0))
#: A contender has the first core to itself, engine and load share the second.
CONTENDER_CORE, LOAD_CORE = CORES[0], CORES[min(1, len(CORES) - 1)]
_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A process did not become ready, or did not answer as it should; the text says how."""


@dataclass
class Target:
    """Where to send requests, and whose work it is.

    Args:
        name: as the tables call it.
        port: its TCP port on 127.0.0.1.
        pid: its first process.
        headers: what a request needs beside the usual.
    """

    name: str
    port: int
    pid: int
    headers: dict[str, str] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        """Processor time so far, with its children."""
        return sum(cpu_seconds(pid) for pid in tree(self.pid))

    def resident_mib(self) -> float:
        """Resident memory now (``VmRSS``), with its children."""
        return sum(_resident_kib(pid) for pid in tree(self.pid)) / 1024


def free_port() -> int:
    """A port that was free a moment ago."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
    return port


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of the appliance but those given."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("APPLIANCE_")} | more


@contextmanager
def started(
    command: list[str], core: int | None, log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on one core (None: on all) until the block ends; then it and its children are ended.

    It has a session of its own, so that Ctrl-C reaches the benchmark alone, which ends it in order.
    """
    pinned = command if core is None else ["taskset", "-c", str(core), *command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment or clean_environment(),
            cwd=ROOT,
            start_new_session=True,
            # Even a benchmark that is killed leaves nothing running. One thread here, so it is safe.
            preexec_fn=tied_to_this_process(),  # noqa: PLW1509
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_ready(
    process: subprocess.Popen[bytes],
    port: int,
    path: str,
    log: Path,
    *,
    headers: dict[str, str] | None = None,
    seconds: float = 60,
) -> None:
    """Wait until ``path`` answers 200.

    Raises:
        Failed: the process ended first, or the time did.
    """
    deadline = time.monotonic() + seconds
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers or {})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                if response.status == 200:
                    return
            said = f"answers {response.status}"
        except urllib.error.HTTPError as err:
            said = f"answers {err.code}"
        except OSError as err:
            said = str(err)
        if process.poll() is not None:
            said = f"ended with exit status {process.returncode}"
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            raise Failed(f"{path} {said}\n{tail}")
        time.sleep(0.1)


def tree(pid: int) -> list[int]:
    """A process and its children, theirs too."""
    try:
        children = [
            child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
        ]
    except FileNotFoundError:
        return []
    return [pid] + [inner for child in children for inner in tree(int(child))]


def cpu_seconds(pid: int) -> float:
    """Processor time of one process so far, user and system."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_SECONDS


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)
