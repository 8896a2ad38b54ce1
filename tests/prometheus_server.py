"""A real Prometheus (Debian's package) on a free port, with a history of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.foreground import free_port

DEADLINE_SECONDS = 60.0


def program(name: str) -> str:
    """Path of ``prometheus`` or ``promtool``; skips the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install prometheus")
    return found


def backfill(directory: Path, openmetrics: str) -> None:
    """Write a history into the storage of a server that is not running yet.

    Args:
        directory: as for :func:`running`.
        openmetrics: the text that ``promtool tsdb create-blocks-from openmetrics`` takes.
    """
    text = directory / "history.txt"
    text.write_text(openmetrics, encoding="utf-8")
    subprocess.run(
        [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(directory / "data")],
        check=True,
        capture_output=True,
    )


@contextmanager
def running(directory: Path, scrape: str = "") -> Iterator[str]:
    """A server until the block ends.

    Args:
        directory: where configuration and storage lie.
        scrape: ``host:port`` that it scrapes every second as job ``gpu``, if any.

    Yields:
        Its address.
    """
    jobs = f'\n  - job_name: gpu\n    static_configs: [{{targets: ["{scrape}"]}}]' if scrape else " []"
    (directory / "prometheus.yml").write_text(f"global: {{scrape_interval: 1s}}\nscrape_configs:{jobs}\n")
    url = f"http://127.0.0.1:{free_port()}"
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={directory}/prometheus.yml",
                f"--storage.tsdb.path={directory}/data",
                "--storage.tsdb.retention.time=90d",
                f"--web.listen-address={url.removeprefix('http://')}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not _answers(f"{url}/-/ready"):
            assert process.poll() is None, (directory / "prometheus.log").read_text()
            assert time.monotonic() < deadline, "Prometheus was not ready in time"
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
