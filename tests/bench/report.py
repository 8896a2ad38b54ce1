"""The tables: what was measured, as ratios and against the bars; and their place in ``docs/benchmarks.md``."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from tests.bench import contenders
from tests.bench.contenders import DIRECT, LITELLM, OURS, OURS_ON_DISK
from tests.bench.latency import Added
from tests.bench.memory import GROWTH_REQUESTS, Memory
from tests.bench.processes import ROOT
from tests.bench.saturation import Saturation
from tests.bench.streams import STREAMS, Streams
from tests.bench.throughput import CONNECTIONS, Throughput

PAGE = ROOT / "docs" / "benchmarks.md"
#: The bars.
ADDED_MEDIAN_MS, ADDED_P99_MS = 0.5, 3.0
REQUESTS_A_SECOND, TIMES_LITELLM = 6000, 60
STREAM_CORES, STREAM_LAG_MS = 0.40, 3.0
RESIDENT_MIB, GROWTH_MIB = 150, 5
SATURATION = 0.99


@dataclass
class Figures:
    """What was measured; empty where it was not.

    Args:
        throughput: by contender, then by number of connections.
        added: by contender and case.
        streams: by contender.
    """

    throughput: dict[str, dict[int, Throughput]] = field(default_factory=dict)
    added: dict[str, Added] = field(default_factory=dict)
    streams: dict[str, Streams] = field(default_factory=dict)
    memory: Memory | None = None
    saturation: Saturation | None = None

    def lines(self) -> list[str]:
        """All tables but the real engine's."""
        blocks = [self._throughput(), self._added(), self._streams(), self._bars()]
        return [line for block in blocks if block for line in [*block, ""]]

    def _throughput(self) -> list[str]:
        if not self.throughput:
            return []
        counts = CONNECTIONS
        ours = self.throughput.get(OURS)
        rows = []
        for name, found in self.throughput.items():
            last = found[counts[-1]]
            ratio = f"{ours[counts[0]].rate / found[counts[0]].rate:.2f}" if ours else "—"
            rates = [f"{found[count].rate:,.0f}" for count in counts]
            rows.append([name, *rates, ratio, f"{last.cores:.2f}", f"{last.cpu_micros:,.0f} µs"])
        head = ["requests/s at connections:", *map(str, counts), f"ours ÷ it, at {counts[0]}"]
        return _table([*head, f"cores, at {counts[-1]}", "processor time a request"], rows)

    def _added(self) -> list[str]:
        rows = [
            [name, f"{it.median:.2f} ms", f"{it.p99:.2f} ms", f"{it.direct_median:.2f} / {it.direct_p99:.2f} ms"]
            for name, it in self.added.items()
        ]
        head = ["time added to a request", "median", "99th percentile", "engine directly, median / 99th"]
        return _table(head, rows) if rows else []

    def _streams(self) -> list[str]:
        rows = []
        direct = self.streams.get(DIRECT)
        for name, it in self.streams.items():
            over = f"{it.lag_p99 - direct.lag_p99:+.1f} ms" if direct and name != DIRECT else "—"
            lag = f"{it.lag_median:.1f} / {it.lag_p99:.1f} ms"
            rows.append(
                [
                    name,
                    lag,
                    over,
                    f"{it.late:.1%}",
                    f"{it.cores:.2f}",
                    f"{it.complete}/{STREAMS}",
                    f"{it.seconds:.1f} s",
                ]
            )
        head = [f"{STREAMS} streams at 40 tokens/s", "lag, median / 99th", "99th over direct", "tokens late by one"]
        return _table([*head, "cores", "complete", "took"], rows) if rows else []

    def _bars(self) -> list[str]:
        rows = [
            [name, got, bar, "met" if met else "**missed**"]
            for name, got, bar, met in [*self._speed_bars(), *self._stream_bars(), *self._memory_bars()]
        ]
        return _table(["bar", "measured", "wanted", ""], rows) if rows else []

    def _speed_bars(self) -> list[tuple[str, str, str, bool]]:
        bars = []
        if found := self.throughput.get(OURS):
            for count in CONNECTIONS:
                rate = found[count].rate
                bars.append(
                    (f"requests/s at {count}", f"{rate:,.0f}", f"≥ {REQUESTS_A_SECOND:,}", rate >= REQUESTS_A_SECOND)
                )
            if lite := self.throughput.get(LITELLM):
                times = found[CONNECTIONS[0]].rate / lite[CONNECTIONS[0]].rate
                bars.append(("times LiteLLM", f"{times:.0f}", f"≥ {TIMES_LITELLM}", times >= TIMES_LITELLM))
        for name, state in ((OURS, "tmpfs"), (OURS_ON_DISK, "disk")):
            if name in self.added:
                it = self.added[name]
                bars += [
                    (
                        f"time added, median ({state})",
                        f"{it.median:.2f} ms",
                        f"≤ {ADDED_MEDIAN_MS} ms",
                        it.median <= ADDED_MEDIAN_MS,
                    ),
                    (f"time added, 99th ({state})", f"{it.p99:.2f} ms", f"≤ {ADDED_P99_MS} ms", it.p99 <= ADDED_P99_MS),
                ]
        return bars

    def _stream_bars(self) -> list[tuple[str, str, str, bool]]:
        ours, direct = self.streams.get(OURS), self.streams.get(DIRECT)
        if ours is None or direct is None:
            return []
        over = ours.lag_p99 - direct.lag_p99
        return [
            ("256 streams, lag over direct, 99th", f"{over:.1f} ms", f"≤ {STREAM_LAG_MS} ms", over <= STREAM_LAG_MS),
            ("256 streams, cores", f"{ours.cores:.2f}", f"≤ {STREAM_CORES:.2f}", ours.cores <= STREAM_CORES),
        ]

    def _memory_bars(self) -> list[tuple[str, str, str, bool]]:
        if self.memory is None:
            return []
        it = self.memory
        return [
            ("resident at rest", f"{it.at_rest:.1f} MiB", f"≤ {RESIDENT_MIB} MiB", it.at_rest <= RESIDENT_MIB),
            ("resident after 10,000 requests", f"{it.warm:.1f} MiB", f"≤ {RESIDENT_MIB} MiB", it.warm <= RESIDENT_MIB),
            (
                f"grown over {GROWTH_REQUESTS:,} more",
                f"{it.grown:.1f} MiB",
                f"≤ {GROWTH_MIB} MiB",
                it.grown <= GROWTH_MIB,
            ),
        ]

    def real_lines(self) -> list[str]:
        """The real engine's table."""
        it = self.saturation
        if it is None:
            return []
        row = [it.model, f"{it.direct:.1f}", f"{it.through:.1f}", f"{it.ratio:.3f}", f"≥ {SATURATION}"]
        head = [
            "output tokens/s, vLLM saturated",
            "directly",
            "through the gateway",
            "ratio",
            "wanted",
            "",
            "vLLM's cores",
        ]
        return _table(head, [[*row, "met" if it.ratio >= SATURATION else "**missed**", f"{it.engine_cores:.2f}"]])


def stamp(disk: Path) -> str:
    """When, where and of what the figures are."""
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    busy = "" if os.sched_getscheduler(0) == os.SCHED_OTHER else " (others were at work: it ran at real-time priority)"
    return (
        f"Measured {when} at {_commit()}, on {os.cpu_count()} cores ({model}), Linux "
        f"{platform.release()}, Python {platform.python_version()}; {contenders.versions()}. "
        f"An `fdatasync` of 4 KiB takes {_sync_milliseconds(disk):.1f} ms on the disk, load average at the end "
        f"{os.getloadavg()[0]:.1f}{busy}."
    )


@cache
def _commit() -> str:
    """What is measured, looked up once: writing the figures changes the checkout."""
    git = ["git", "describe", "--always", "--dirty=, changed", "--abbrev=10"]
    found = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return found or "an unknown commit"


def _sync_milliseconds(directory: Path) -> float:
    """The middle of a hundred."""
    path, times = directory / "sync", []
    with path.open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    path.unlink()
    return sorted(times)[50] * 1000


def write(block: str, lines: list[str]) -> None:
    """Put lines between a block's markers on the page."""
    begin, end = f"<!-- {block}: begin -->", f"<!-- {block}: end -->"
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    PAGE.write_text(f"{before}{begin}\n" + "\n".join(lines).strip() + f"\n{end}{after}", encoding="utf-8")
    print(f"written to {PAGE.relative_to(ROOT)}", flush=True)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
