"""Run everything, print the table, and with ``--write`` put it into ``docs/benchmarks.md``."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import contenders, load
from tests.bench.contenders import ROOT, Target
from tests.bench.load import Spread, Streams

PAGE = ROOT / "docs" / "benchmarks.md"
MARKS = ("<!-- figures: begin -->", "<!-- figures: end -->")
#: The design's bars.
ADDED_MEDIAN_MS, ADDED_P99_MS = 0.5, 3.0
REQUESTS_A_SECOND, TIMES_LITELLM = 6000, 60
STREAM_CORES, STREAM_LAG_MS = 0.40, 3.0
RESIDENT_MIB, GROWTH_MIB, GROWTH_REQUESTS = 150, 5, 100_000


@dataclass(frozen=True)
class Row:
    """One contender's figures; None where it was not measured."""

    name: str
    requests_a_second: float
    streams: Streams | None = None
    spread: Spread | None = None


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        directory = Path(name)
        socket_path, engine = stack.enter_context(contenders.engine(directory))
        rows = [_measure(engine, directory, None)]
        for start in (
            lambda: contenders.gateway(directory, socket_path),
            lambda: contenders.nginx(directory, socket_path),
            lambda: contenders.vllm_router(directory, engine.port),
            lambda: contenders.litellm(directory, engine.port),
        ):
            with start() as target:
                if target is not None:
                    rows.append(_measure(target, directory, engine))
        with contenders.gateway(directory, socket_path) as target:
            memory = _memory(target, directory)
    lines = _table(rows) + _verdicts(rows, memory)
    print("\n".join(lines))
    if "--write" in sys.argv:
        _write(lines)


def _measure(target: Target, directory: Path, engine: Target | None) -> Row:
    print(f"measuring {target.name} …", flush=True)
    slow = target.name.startswith("LiteLLM")
    load.throughput(target, directory, seconds=2)
    # Three runs, the middle one: these machines are shared.
    rates = sorted(load.throughput(target, directory, seconds=4) for _ in range(3))
    spread = None
    if engine is not None and not slow:
        spread = load.latency([engine, target])[1]
        direct = load.latency([engine, target])[0]
        spread = Spread(spread.median - direct.median, spread.p99 - direct.p99)
    streams = load.streams(target, tokens=40 if slow else 200)
    return Row(target.name, rates[1], streams, spread)


def _memory(target: Target, directory: Path) -> tuple[float, float]:
    """Resident MiB at rest, and MiB grown over the requests of the bar."""
    print(f"measuring memory over {GROWTH_REQUESTS} requests …", flush=True)
    at_rest = target.resident_bytes()
    # The first requests fill pools and caches once; growth is counted from there.
    load.throughput(target, directory, seconds=5)
    warm, sent = target.resident_bytes(), 0.0
    while sent < GROWTH_REQUESTS:
        sent += load.throughput(target, directory, seconds=5) * 5
    return at_rest / 2**20, (target.resident_bytes() - warm) / 2**20


def _table(rows: list[Row]) -> list[str]:
    ours = next(row for row in rows if row.name == "this gateway")
    lines = [
        "| | requests/s, one core | against ours | time added, median / 99th | 256 streams: lag 99th | cores | complete |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        added = f"{row.spread.median:.2f} / {row.spread.p99:.2f} ms" if row.spread else "—"
        streams = row.streams
        paced = f"{streams.lag.p99:.1f} ms | {streams.cores:.2f} | {streams.complete}/256" if streams else "— | — | —"
        ratio = row.requests_a_second / ours.requests_a_second
        lines.append(f"| {row.name} | {row.requests_a_second:,.0f} | {ratio:.2f} | {added} | {paced} |")
    return lines


def _verdicts(rows: list[Row], memory: tuple[float, float]) -> list[str]:
    by_name = {row.name: row for row in rows}
    ours, direct = by_name["this gateway"], rows[0]
    lite = by_name.get("LiteLLM proxy")
    assert ours.spread is not None
    assert ours.streams is not None
    assert direct.streams is not None
    lag = ours.streams.lag.p99 - direct.streams.lag.p99
    checks = [
        (
            "time added, median",
            f"{ours.spread.median:.2f} ms",
            f"≤ {ADDED_MEDIAN_MS} ms",
            ours.spread.median <= ADDED_MEDIAN_MS,
        ),
        (
            "time added, 99th percentile",
            f"{ours.spread.p99:.2f} ms",
            f"≤ {ADDED_P99_MS} ms",
            ours.spread.p99 <= ADDED_P99_MS,
        ),
        (
            "requests/s on one core",
            f"{ours.requests_a_second:,.0f}",
            f"≥ {REQUESTS_A_SECOND:,}",
            ours.requests_a_second >= REQUESTS_A_SECOND,
        ),
        ("256 streams, cores", f"{ours.streams.cores:.2f}", f"≤ {STREAM_CORES}", ours.streams.cores <= STREAM_CORES),
        ("256 streams, lag over direct, 99th", f"{lag:.1f} ms", f"≤ {STREAM_LAG_MS} ms", lag <= STREAM_LAG_MS),
        ("resident at rest", f"{memory[0]:.0f} MiB", f"≤ {RESIDENT_MIB} MiB", memory[0] <= RESIDENT_MIB),
        (
            f"grown over {GROWTH_REQUESTS:,} requests",
            f"{memory[1]:.1f} MiB",
            f"≤ {GROWTH_MIB} MiB",
            memory[1] <= GROWTH_MIB,
        ),
    ]
    if lite is not None:
        times = ours.requests_a_second / lite.requests_a_second
        checks.append(("times LiteLLM", f"{times:.0f}", f"≥ {TIMES_LITELLM}", times >= TIMES_LITELLM))
    lines = ["", "| bar | measured | wanted | |", "| --- | --- | --- | --- |"]
    return lines + [f"| {name} | {got} | {bar} | {'met' if met else '**missed**'} |" for name, got, bar, met in checks]


def _write(lines: list[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    when = datetime.now(UTC).date().isoformat()
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    stamp = f"Measured {when} on {os.cpu_count()} cores ({model}), Python {platform.python_version()}."
    PAGE.write_text(f"{before}{MARKS[0]}\n{stamp}\n\n" + "\n".join(lines) + f"\n{MARKS[1]}{after}", encoding="utf-8")
    print(f"written to {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
