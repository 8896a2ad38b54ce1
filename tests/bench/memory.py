"""What the gateway holds: at rest, and after very many requests."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench import throughput
from tests.bench.processes import Target

GROWTH_REQUESTS, WARM_REQUESTS = 100_000, 10_000
CONNECTIONS = 32


@dataclass(frozen=True)
class Memory:
    """Resident memory in MiB.

    Args:
        at_rest: before the first request.
        warm: after the first 10,000, which fill pools and caches once.
        grown: what the next 100,000 added.
    """

    at_rest: float
    warm: float
    grown: float


def measure(target: Target, directory: Path) -> Memory:
    """Ask and look again."""
    time.sleep(2)  # what the start leaves to be freed
    at_rest = target.resident_mib()
    _ask(target, directory, WARM_REQUESTS)
    warm = target.resident_mib()
    _ask(target, directory, GROWTH_REQUESTS)
    return Memory(at_rest, warm, target.resident_mib() - warm)


def _ask(target: Target, directory: Path, count: int) -> None:
    while count > 0:
        count -= throughput.run(target, directory, CONNECTIONS, 2).requests
