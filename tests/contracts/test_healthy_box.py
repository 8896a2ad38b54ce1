"""A box that works raises no alert: what real programs expose, held for an hour and a half, leaves the rules quiet."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from appliance.core import upkeep
from appliance.gateway.exposition import Exposition
from tests.contracts import rulebook
from tests.gateway.conftest import Gateway, gateway, shared_gateway  # noqa: F401 - fixtures

GOLDENS = rulebook.ROOT / "tests" / "goldens"
MINUTES = 90
TARGETS = {
    "gateway": "127.0.0.1:8081",
    "engine": "127.0.0.1:8081",
    "gpu": "127.0.0.1:9400",
    "node": "127.0.0.1:9100",
    "prometheus": "127.0.0.1:9090",
    "alertmanager": "127.0.0.1:9093",
}
#: What node exporter (1.5, Debian) says on a machine with a clock that is kept.
NODE = """
node_boot_time_seconds 1
node_filesystem_avail_bytes{device="/dev/nvme0n1p2",fstype="ext4",mountpoint="/"} 6e11
node_filesystem_size_bytes{device="/dev/nvme0n1p2",fstype="ext4",mountpoint="/"} 1e12
node_filesystem_readonly{device="/dev/nvme0n1p2",fstype="ext4",mountpoint="/"} 0
node_filesystem_avail_bytes{device="tmpfs",fstype="tmpfs",mountpoint="/run"} 0
node_filesystem_size_bytes{device="tmpfs",fstype="tmpfs",mountpoint="/run"} 1e9
node_filesystem_readonly{device="tmpfs",fstype="tmpfs",mountpoint="/run"} 0
node_memory_MemAvailable_bytes 9e10
node_memory_MemTotal_bytes 1.28e11
node_vmstat_oom_kill 0
node_timex_maxerror_seconds 0.01
node_timex_sync_status 1
node_textfile_scrape_error 0
"""
#: Alerts that cards of the goldens do deserve.
DESERVED = {
    ("synthetic_older", "GpuRetiredPagesPending"),
    ("synthetic_rtx_4090", "GpuPowerCap"),
    ("synthetic_l4", "GpuRecoveryActionRequested"),
    ("synthetic_l4", "GpuRowRemapPending"),
    ("synthetic_l4", "GpuSoftwareThermalSlowdown"),
    ("synthetic_l4", "GpuThermalSlowdown"),
}
CARDS = sorted(path.stem for path in (GOLDENS / "exporter").glob("*.prom") if "dcgm" not in path.stem)
pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is absent: apt install prometheus")


def test_only_the_watchdog_fires_and_what_ill_cards_deserve(gateway: Gateway, tmp_path: Path) -> None:  # noqa: F811
    assert gateway.chat().status_code == 200
    series = [
        *({"series": f'up{{instance="{at}",job="{job}"}}', "values": f"1x{MINUTES}"} for job, at in TARGETS.items()),
        *held("gateway", Exposition(gateway.metrics).families()),
        *held("engine", (GOLDENS / "vllm_metrics.txt").read_text(encoding="utf-8")),
        *held("node", NODE),
        *held("node", upkeep.exposition(outcomes(), at=0).decode()),
        *held("node", 'node_textfile_mtime_seconds{file="/var/lib/prometheus/node-exporter/appliance.prom"} 0'),
    ]
    for one in series:
        if one["series"].startswith(("appliance_upkeep_timestamp", "node_textfile_mtime")):
            one["values"] = f"0+60x{MINUTES}"
    # All cards in one run, as if each stood in a box of its own: working out every rule is what takes the time.
    for card in CARDS:
        series += held("gpu", (GOLDENS / "exporter" / f"{card}.prom").read_text(encoding="utf-8"), instance=card)
    assert alerts(series, tmp_path) == {("", "Watchdog"), *DESERVED}


def held(job: str, page: str | Iterable[Metric], instance: str | None = None) -> list[dict[str, str]]:
    """Those series of a page that rules ask for, each with the value that it has, for the whole time."""
    asked = {
        name for rule in (*rulebook.rules("alert"), *rulebook.rules("record")) for name in rulebook.metrics(rule.expr)
    }
    found = []
    for family in text_string_to_metric_families(page) if isinstance(page, str) else page:
        for sample in family.samples:
            if sample.name in asked:
                labels = {**sample.labels, "job": job, "instance": instance or TARGETS[job]}
                inside = ",".join(f'{name}="{value}"' for name, value in labels.items())
                found.append({"series": f"{sample.name}{{{inside}}}", "values": f"{float(sample.value)!r}x{MINUTES}"})
    return found


def outcomes() -> list[upkeep.Outcome]:
    """What upkeep finds where all is well; everything was done at the beginning of time, ninety minutes before the end."""
    later = 300 * 86400
    samples: dict[upkeep.Check, tuple[upkeep.Sample, ...]] = {
        "audit": (
            upkeep.Sample("appliance_audit_intact", 1),
            upkeep.Sample("appliance_audit_verified_timestamp_seconds", 0),
        ),
        "backup": (
            upkeep.Sample("appliance_backup_configured", 1),
            upkeep.Sample("appliance_backup_last_success_timestamp_seconds", 0),
        ),
        "certificate": tuple(
            upkeep.Sample("appliance_certificate_expiry_timestamp_seconds", later, (name,)) for name in ("server", "ca")
        ),
        "clock": (upkeep.Sample("appliance_clock_offset_seconds", 0.0004),),
        "egress": (
            upkeep.Sample("appliance_egress_rules_loaded", 1),
            *(
                upkeep.Sample("appliance_egress_dropped_packets_total", 4, (source,))
                for source in ("engine", "gateway", "other")
            ),
        ),
        "privacy_test": (
            upkeep.Sample("appliance_privacy_test_passed", 1),
            upkeep.Sample("appliance_privacy_test_timestamp_seconds", 0),
        ),
    }
    return [upkeep.Outcome(check, (), samples[check]) for check in upkeep.CHECKS]


def alerts(series: list[dict[str, str]], folder: Path) -> set[tuple[str, str]]:
    """(instance, alert) of all, pending or firing: promtool prints what it got where none was expected."""
    test: dict[str, Any] = {
        "rule_files": [str(path) for path in rulebook.RULE_FILES],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "promql_expr_test": [{"expr": "ALERTS", "eval_time": f"{MINUTES - 1}m", "exp_samples": []}],
            }
        ],
    }
    file = folder / "healthy.yml"
    file.write_text(yaml.safe_dump(test, allow_unicode=True), encoding="utf-8")
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=110, check=False
    )
    assert "got:" in done.stdout + done.stderr, done.stdout + done.stderr
    found = [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in re.findall(r"\{(.*?)\}", done.stdout + done.stderr)]
    return {(labels.get("instance", ""), labels["alertname"]) for labels in found}
