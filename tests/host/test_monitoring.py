"""Prometheus on the installed machine: it reads all that runs there, its rules work, and a box that works is quiet."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.host import machine as machines
from tests.host.conftest import Installed
from tests.host.test_evidence import wait_for_privacy_test

PROMETHEUS, ALERTMANAGER = "http://127.0.0.1:9090", "http://127.0.0.1:9093"
JOBS = {"gateway", "node", "prometheus", "alertmanager"}
#: It says that alerts arrive, and is always on.
ALWAYS = {"Watchdog"}
#: What a kit without an engine is right to say: no model answers, and nothing could be searched for canaries.
WITHOUT_AN_ENGINE = {"EngineNotReady", "EngineNotGenerating", "PrivacyTestNotRun"}
#: Two readings, and the rules after them.
SETTLE_SECONDS = 300
FETCH = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())"


def ask(installed: Installed, address: str) -> Any:
    """A page of the machine's loopback, which nobody else reaches."""
    return json.loads(installed.machine.check("python3", "-c", FETCH, address))


def query(installed: Installed, path: str) -> Any:
    return ask(installed, f"{PROMETHEUS}/api/v1/{path}")["data"]


def expected_jobs(installed: Installed) -> set[str]:
    return JOBS if installed.kit.variant == "gateway" else JOBS | {"engine"}


def rules(installed: Installed) -> list[dict[str, Any]]:
    return [{**rule, "file": group["file"]} for group in query(installed, "rules")["groups"] for rule in group["rules"]]


def test_configuration_is_taken_without_a_complaint(installed: Installed) -> None:
    said = installed.machine.check("promtool", "check", "config", "/etc/prometheus/prometheus.yml")
    assert "SUCCESS" in said
    assert "WARNING" not in said
    assert "SUCCESS" in installed.machine.check("amtool", "check-config", "/etc/prometheus/alertmanager.yml")


def test_all_that_runs_is_read_and_nothing_else_is_tried(installed: Installed) -> None:
    def states() -> dict[str, str]:
        return {one["labels"]["job"]: one["health"] for one in query(installed, "targets")["activeTargets"]}

    wanted = dict.fromkeys(expected_jobs(installed), "up")
    machines.until(lambda: states() == wanted, SETTLE_SECONDS, lambda: str(states()))
    series = query(installed, "query?query=appliance_connections_limit")["result"]
    assert [one["metric"]["job"] for one in series] == ["gateway"]
    assert query(installed, "query?query=appliance_upkeep_check_success")["result"]


def test_rules_of_what_the_box_has_are_loaded_and_work(installed: Installed) -> None:
    def ill() -> list[str]:
        return [
            f"{rule['name']}: {rule['health']} {rule.get('lastError', '')}"
            for rule in rules(installed)
            if rule["health"] != "ok"
        ]

    machines.until(lambda: not ill(), SETTLE_SECONDS, lambda: str(ill()))
    kept = {path.name for path in (installed.kit.directory / "deploy/prometheus/rules").glob("*.yml")} - {"gpu.yml"}
    assert {rule["file"].rpartition("/")[2] for rule in rules(installed)} == kept


def test_no_alert_is_on_or_about_to_be_but_what_is_explained(installed: Installed) -> None:
    wait_for_privacy_test(installed)
    # What upkeep tells every five minutes it tells now.
    installed.machine.check("systemctl", "start", "appliance-upkeep.service", timeout=300)

    def on() -> dict[str, str]:
        # Pending counts: what is so now and stays so would be an alert, the longest after an hour.
        found = [rule for rule in rules(installed) if rule["type"] == "alerting" and rule["state"] != "inactive"]
        return {rule["name"]: rule["state"] for rule in found}

    explained = ALWAYS | (WITHOUT_AN_ENGINE if installed.kit.variant == "gateway" else set())
    machines.until(lambda: set(on()) == explained, SETTLE_SECONDS, lambda: str(on()))
    assert on().keys() == explained


def test_alerts_reach_alertmanager(installed: Installed) -> None:
    def arrived() -> set[str]:
        return {one["labels"]["alertname"] for one in ask(installed, f"{ALERTMANAGER}/api/v2/alerts")}

    machines.until(lambda: arrived() >= ALWAYS, SETTLE_SECONDS, lambda: str(arrived()))
    assert arrived() >= ALWAYS


@pytest.mark.parametrize("port", [9090, 9093, 9100, 8081])
def test_lan_reaches_none_of_it(installed: Installed, port: int) -> None:
    command = installed.machine.beside("curl", "--silent", "--max-time", "2", f"http://{machines.ADDRESS}:{port}/")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 28  # no answer at all
