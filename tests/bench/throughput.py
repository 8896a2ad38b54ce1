"""Requests a second with all connections always busy, by wrk, and what each costs."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import chat
from tests.bench.engine import MODEL
from tests.bench.processes import LOAD_CORE, Failed, Target

CONNECTIONS = (32, 128, 256)
RUNS, RUN_SECONDS, WARM_SECONDS, SLOW_SECONDS = 3, 3, 1, 12
_DONE = """
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("bench %d %d %d\\n", summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Run:
    """One run of wrk.

    Args:
        requests: answered with 200.
        seconds: how long it took.
        cpu_seconds: processor time the target spent meanwhile.
    """

    requests: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@dataclass(frozen=True)
class Throughput:
    """The middle of several runs.

    Args:
        rate: requests a second.
        cores: share of a core the target used.
        cpu_micros: processor time a request, in microseconds.
    """

    rate: float
    cores: float
    cpu_micros: float


def measure(
    target: Target, directory: Path, connections: Sequence[int] = CONNECTIONS, *, slow: bool = False
) -> dict[int, Throughput]:
    """Throughput by number of connections; one longer run each of what is slow."""
    found = {}
    for count in connections:
        if not slow:
            run(target, directory, count, WARM_SECONDS)
        runs = [
            run(target, directory, count, SLOW_SECONDS if slow else RUN_SECONDS) for _ in range(1 if slow else RUNS)
        ]
        found[count] = Throughput(
            statistics.median(each.rate for each in runs),
            statistics.median(each.cpu_seconds / each.seconds for each in runs),
            statistics.median(each.cpu_seconds / max(1, each.requests) * 1e6 for each in runs),
        )
    return found


def run(target: Target, directory: Path, connections: int, seconds: int, payload: bytes | None = None) -> Run:
    """Keep that many connections busy for a time.

    Raises:
        Failed: an answer was no 200, or a connection broke.
    """
    script = directory / "post.lua"
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in target.headers.items())
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n{headers}'
        f"wrk.body = [[{(payload or chat.body(MODEL)).decode()}]]\n{_DONE}"
    )
    command = ["taskset", "-c", str(LOAD_CORE), shutil.which("wrk") or "wrk", "-t1", f"-c{connections}"]
    url = f"http://127.0.0.1:{target.port}{chat.PATH}"
    before = target.cpu_seconds()
    done = subprocess.run(
        [*command, f"-d{seconds}s", "--timeout", "60s", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
    )
    spent = target.cpu_seconds() - before
    found = re.search(r"^bench (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if found is None or int(found[3]) or not int(found[1]):
        raise Failed(f"{target.name}: not every request was answered with 200\n{done.stdout}{done.stderr}")
    return Run(int(found[1]), int(found[2]) / 1e6, spent)
