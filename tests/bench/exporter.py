"""The exporter's bars, measured: ``python -m tests.bench.exporter`` (a minute and a half).

The real process over the replayed H100, scraped over its port. Once with every call
taking the time it took on the card (the wait of a scrape), once at full speed
(memory over 10,000 scrapes), once with a call that hangs.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

ROOT = Path(__file__).resolve().parents[2]
#: The design's bars.
SCRAPE_MS, HUNG_MS, RESIDENT_MIB = 50, 2000, 40
SCRAPES = 10_000
WARM_UP = 500


def main() -> None:
    """Measure and print a table."""
    rows = [*_waits(), *_memory(), _hung()]
    print("| what | measured | bar |\n| --- | --- | --- |")
    print("\n".join(rows))


def _waits() -> Iterator[str]:
    with _running("--in-real-time") as (_, scrape):
        first_ms = scrape()
        times_ms = []
        for _ in range(200):
            time.sleep(0.1)  # until what is measured after a scrape is done: Prometheus leaves 15 s
            times_ms.append(scrape())
        cuts = quantiles(times_ms, n=100)
        yield f"| first scrape, everything asked for | {first_ms:.1f} ms | {SCRAPE_MS} ms |"
        yield f"| further scrapes, median | {cuts[49]:.1f} ms | {SCRAPE_MS} ms |"
        yield f"| further scrapes, 99th percentile | {cuts[98]:.1f} ms | {SCRAPE_MS} ms |"


def _memory() -> Iterator[str]:
    with _running() as (process, scrape):
        scrape()
        rest = _resident_mib(process)
        for _ in range(WARM_UP):
            scrape()
        warm = _resident_mib(process)
        times_ms = [scrape() for _ in range(SCRAPES)]
        grown = _resident_mib(process) - warm
        yield f"| resident after the first scrape | {rest:.1f} MiB | {RESIDENT_MIB} MiB |"
        yield f"| resident after {WARM_UP} scrapes | {warm:.1f} MiB | {RESIDENT_MIB} MiB |"
        yield f"| growth over {SCRAPES:,} more | {grown:.2f} MiB | none |"
        yield f"| our part of a scrape (calls that take no time), median | {quantiles(times_ms, n=2)[0]:.1f} ms | – |"


def _hung() -> str:
    with _running("--hang", "nvmlDeviceGetPowerUsage") as (_, scrape):
        return f"| scrape while a call hangs | {max(scrape(), scrape()):.0f} ms | {HUNG_MS} ms |"


@contextmanager
def _running(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], float]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.exporter_process", f"--port={port}", "--log-level=error", *arguments],
        cwd=ROOT,
    )
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def scrape() -> float:
        begun = time.perf_counter()
        connection.request("GET", "/metrics")
        body = connection.getresponse().read()
        assert b"appliance_gpu_up" in body, body
        return (time.perf_counter() - begun) * 1000

    try:
        while process.poll() is None:
            try:
                connection.connect()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield process, scrape
    finally:
        connection.close()
        process.terminate()
        process.wait()


def _resident_mib(process: subprocess.Popen[bytes]) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the exporter ended")


if __name__ == "__main__":
    main()
