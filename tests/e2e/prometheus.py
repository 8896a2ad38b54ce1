"""A real Prometheus with the configuration and rules of ``deploy/prometheus``, and questions to its HTTP API.

Only what a test must change is changed: addresses, and how often it looks.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.conftest import free_port

DEPLOYED = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
#: How often everything is read and every rule is worked out.
INTERVAL_SECONDS = 2
#: From the start to the first answer, on two busy cores.
START_SECONDS = 60


class QueryFailed(Exception):
    """Prometheus refused an expression; the text is its own."""


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    client: httpx.Client

    def instant(self, promql: str) -> list[Any]:
        """The values of now, without those that are no number."""
        found = self._ask("query", query=promql)
        series = [one["value"] for one in found["result"]] if found["resultType"] == "vector" else [found["result"]]
        return [value for _, value in series if not math.isnan(float(value))]

    def range(self, promql: str, seconds: float, step_seconds: float) -> list[Any]:
        """The values of a while, without those that are no number."""
        now = time.time()
        found = self._ask("query_range", query=promql, start=now - seconds, end=now, step=step_seconds)
        return [value for one in found["result"] for _, value in one["values"] if not math.isnan(float(value))]

    def has_series(self, selector: str) -> bool:
        """Whether there is any series of a selector, with or without a value now."""
        return bool(self._get("series", **{"match[]": selector}))

    def label_values(self, metric: str, label: str) -> list[str]:
        """What Grafana's ``label_values(metric, label)`` asks for."""
        return list(self._get(f"label/{label}/values", **{"match[]": metric}))

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its health and last error."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def healths(self) -> dict[str, str]:
        """Job to ``up``, ``down`` or ``unknown``."""
        return {target["labels"]["job"]: target["health"] for target in self._get("targets")["activeTargets"]}

    def _ask(self, what: str, **form: Any) -> Any:
        answer = self.client.post(f"/api/v1/{what}", data=form).json()
        if answer["status"] != "success":
            raise QueryFailed(answer["error"])
        return answer["data"]

    def _get(self, what: str, **parameters: Any) -> Any:
        answer = self.client.get(f"/api/v1/{what}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]


@contextmanager
def running(folder: Path, targets: dict[str, str]) -> Iterator[Prometheus]:
    """Start one.

    Args:
        folder: where its configuration and data go.
        targets: job to ``host:port``; a job left out is asked for at a port where nothing is.
    """
    port = free_port()
    (folder / "rules").mkdir(parents=True)
    for rules in sorted((DEPLOYED / "rules").glob("*.yml")):
        (folder / "rules" / rules.name).write_text(_quick_rules(rules.read_text(encoding="utf-8")), encoding="utf-8")
    config = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text(encoding="utf-8"))
    nobody = f"127.0.0.1:{free_port()}"
    for job in config["scrape_configs"]:
        own = {"prometheus": f"127.0.0.1:{port}"}
        job["static_configs"] = [{"targets": [(targets | own).get(job["job_name"], nobody)]}]
    config["global"] |= dict.fromkeys(("scrape_interval", "evaluation_interval"), f"{INTERVAL_SECONDS}s")
    # Its own is longer than the interval; two busy cores are slower than a box.
    config["global"]["scrape_timeout"] = f"{INTERVAL_SECONDS}s"
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [nobody]}]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with (
        process(command, folder / "prometheus.log") as running,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client,
    ):
        _wait_until_ready(client, running)
        yield Prometheus(client)


@contextmanager
def process(command: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the test's own, ended with it; what it writes goes to a file."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, **options) as started:
        try:
            yield started
        finally:
            started.terminate()


def program(name: str) -> str:
    """Where a Debian program is; skips the test where it is not."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install prometheus prometheus-node-exporter")
    return found


def selectors(promql: str) -> set[str]:
    """Every selector of series in an expression, such as ``up{job="node"}``."""
    text = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", promql)
    found = set()
    for match in _SELECTOR.finditer(text):
        name, braces = match["name"], match["braces"] or ""
        follows = text[match.end() :].lstrip()
        if name and name not in _KEYWORDS and not (not braces and follows.startswith("(")):
            found.add(name + braces)
    return found


_SELECTOR = re.compile(
    r'"(?:[^"\\]|\\.)*"|(?<![\w.:])(?P<name>[a-zA-Z_:][\w:]*)(?P<braces>\{(?:[^}"]|"(?:[^"\\]|\\.)*")*\})?'
)
_KEYWORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right"}


def _quick_rules(text: str) -> str:
    groups = yaml.safe_load(text)
    for group in groups["groups"]:
        group.pop("interval", None)
    return yaml.safe_dump(groups, allow_unicode=True)


def _wait_until_ready(client: httpx.Client, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert running.poll() is None, "Prometheus ended: see prometheus.log"
        assert time.monotonic() < deadline, "Prometheus was not ready in time"
        try:
            if client.get("/-/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
