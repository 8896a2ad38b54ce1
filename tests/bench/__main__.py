"""Run everything or one part, print the tables, and with ``--write`` put them into ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import contenders, latency, memory, report, saturation, streams, throughput
from tests.bench.contenders import LITELLM, OURS, OURS_ON_DISK
from tests.bench.engine import MODEL, PACED_MODEL
from tests.bench.processes import CACHE, CONTENDER_CORE, CORES, LOAD_CORE, Failed, Target
from tests.bench.report import Figures

PARTS = ("throughput", "latency", "streams", "memory")
#: Of the gateway and of what it is subtracted from, the middle of three.
ROUNDS = 3
LITELLM_RATE = 20


@dataclass
class Bench:
    """One run.

    Args:
        directory: on tmpfs: the sockets, and the state of what is not measured on disk.
        disk: a directory on the checkout's disk.
        parts: what is measured.
    """

    directory: Path
    disk: Path
    parts: list[str]
    figures: Figures = field(default_factory=Figures)
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Progress, with the seconds so far."""
        print(f"[{time.monotonic() - self.began:4.0f} s] {text}", flush=True)

    def run(self) -> None:
        """Every contender in turn: only one is alive at a time, so none takes another's core."""
        with contenders.engine(self.directory) as (socket_path, engine):
            self._throughput(engine)
            self._streams(engine)
            turns = self._contenders(socket_path, engine) if self.parts != ["memory"] else ()
            for name, start in turns:
                self.say(f"{name}: starting")
                try:
                    with start as target:
                        if target is not None:
                            self._measure(target, engine)
                except Failed as err:
                    if name in {OURS, OURS_ON_DISK}:
                        raise
                    print(f"  {name} left out: {err}", flush=True)
            if "memory" in self.parts:
                self.say(f"memory over {memory.GROWTH_REQUESTS:,} requests")
                with contenders.gateway(OURS, self.directory / "memory", socket_path, **_ROOM) as target:
                    self.figures.memory = memory.measure(target, self.directory)

    def _contenders(
        self, socket_path: Path, engine: Target
    ) -> Iterator[tuple[str, AbstractContextManager[Target | None]]]:
        yield OURS, contenders.gateway(OURS, self.directory / "state", socket_path, **_ROOM)
        yield OURS_ON_DISK, contenders.gateway(OURS_ON_DISK, self.disk / "state", socket_path, **_ROOM)
        yield contenders.NGINX, contenders.nginx(self.directory, socket_path)
        yield contenders.ROUTER, contenders.vllm_router(self.directory, engine.port)
        yield LITELLM, contenders.litellm(self.directory, engine.port)

    def _measure(self, target: Target, engine: Target) -> None:
        self._throughput(target)
        if "latency" in self.parts:
            self._latency(target, engine)
        self._streams(target)

    def _throughput(self, target: Target) -> None:
        if "throughput" not in self.parts:
            return
        self.say(f"{target.name}: throughput")
        found = throughput.measure(target, self.directory, slow=target.name == LITELLM)
        self.figures.throughput[target.name] = found
        for count, it in found.items():
            print(f"    {count} connections: {it.rate:,.0f} requests/s, {it.cpu_micros:.0f} µs each", flush=True)

    def _latency(self, target: Target, engine: Target) -> None:
        ours = target.name in {OURS, OURS_ON_DISK}
        rate = LITELLM_RATE if target.name == LITELLM else latency.RATE
        for model in (MODEL, PACED_MODEL) if ours else (MODEL,):
            name = target.name if rate == latency.RATE else f"{target.name}, at {rate}/s"
            name = name if model == MODEL else f"{name}, engine takes 50 ms"
            self.say(f"{name}: time added")
            found = [latency.measure(engine, target, model, rate=rate) for _ in range(ROUNDS if ours else 1)]
            it = self.figures.added[name] = sorted(found, key=lambda it: it.p99)[len(found) // 2]
            print(f"    {it.median:.2f} ms, 99th percentile {it.p99:.2f} ms", flush=True)

    def _streams(self, target: Target) -> None:
        if "streams" not in self.parts:
            return
        self._stream(target, target.name, streams.SPREAD_SECONDS)
        if target.name == OURS:
            self._stream(
                target, f"{target.name}, all asked within {streams.BURST_SECONDS * 1000:.0f} ms", streams.BURST_SECONDS
            )

    def _stream(self, target: Target, name: str, spread_seconds: float) -> None:
        self.say(f"{name}: streams")
        found = [
            streams.measure(target, spread_seconds=spread_seconds)
            for _ in range(1 if target.name == LITELLM else ROUNDS)
        ]
        it = self.figures.streams[name] = sorted(found, key=lambda it: it.lag_p99)[len(found) // 2]
        print(f"    lag {it.lag_median:.1f} ms, 99th percentile {it.lag_p99:.1f} ms, {it.cores:.2f} cores", flush=True)
        print(f"    the client itself: {it.load_cores:.2f} cores", flush=True)


#: The fake engine does not say how many it generates at once, and 256 streams are to run at once.
_ROOM = {"APPLIANCE_GATEWAY__MAX_RUNNING_REQUESTS": "512"}


def main() -> int:
    """Measure and print; the exit status says whether it ran, not whether the bars are met."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if len(CORES) < 2:
        print("warning: one core only: contender, engine and load share it, and the figures say little", flush=True)
    os.sched_setaffinity(0, {LOAD_CORE})
    began = time.monotonic()
    try:
        with _directories() as (directory, disk):
            _run(asked, directory, disk)
    except KeyboardInterrupt:
        print("\nstopped: everything it started has ended", flush=True)
        return 130
    except Failed as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    print(f"took {time.monotonic() - began:.0f} s", flush=True)
    return 0


def _run(asked: argparse.Namespace, directory: Path, disk: Path) -> None:
    figures = Figures()
    if asked.part != "real":
        bench = Bench(directory, disk, list(PARTS) if asked.part is None else [asked.part])
        bench.run()
        figures = bench.figures
        stamp = report.stamp(disk)
        print("\n".join(["", stamp, "", *figures.lines()]), flush=True)
        if asked.write:
            report.write("figures", [stamp, "", *figures.lines()])
    if asked.engine == "real":
        print(f"real engine: vLLM on core {LOAD_CORE}, gateway and client on core {CONTENDER_CORE}", flush=True)
        os.sched_setaffinity(0, {CONTENDER_CORE})
        figures.saturation = saturation.measure(directory)
        stamp = report.stamp(disk)
        print("\n".join(["", *figures.real_lines(), ""]), flush=True)
        if asked.write:
            report.write("real engine", [stamp, "", *figures.real_lines()])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--part", choices=(*PARTS, "real"), help="measure this alone")
    parser.add_argument("--engine", choices=("fake", "real"), default="fake", help="real: vLLM saturated, too")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/benchmarks.md")
    asked = parser.parse_args()
    if asked.part == "real":
        asked.engine = "real"
    elif asked.part and asked.write:
        parser.error("the page shows one whole run: WRITE=1 goes without PART (or with PART=real)")
    for program in ("wrk", "taskset"):
        if shutil.which(program) is None:
            parser.error(f"{program} is missing. Run: sudo apt-get install -y wrk nginx-light util-linux")
    return asked


@contextmanager
def _directories() -> Iterator[tuple[Path, Path]]:
    """One on tmpfs, one on the checkout's disk; both go at the end."""
    shared = Path("/dev/shm")
    CACHE.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        quick = tempfile.TemporaryDirectory(prefix="bench-", dir=shared if shared.is_dir() else None)
        disk = tempfile.TemporaryDirectory(prefix="state-", dir=CACHE, ignore_cleanup_errors=True)
        yield Path(stack.enter_context(quick)), Path(stack.enter_context(disk))


if __name__ == "__main__":
    sys.exit(main())
