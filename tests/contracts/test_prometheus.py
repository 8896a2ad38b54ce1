"""Prometheus asks the box's own listeners, and its rules only for series that somebody really exposes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from appliance.core import upkeep
from appliance.core.metric import Family
from appliance.exporter import families as exporter
from appliance.gateway import families as gateway
from appliance.settings import ExporterSettings, GatewaySettings
from tests.contracts import rulebook

RULES = (*rulebook.rules("record"), *rulebook.rules("alert"))
RECORDED = {rule.name for rule in rulebook.rules("record")}
VLLM_PAGE = rulebook.ROOT / "tests" / "goldens" / "vllm_metrics.txt"
#: What others expose, and why it is asked for.
OTHERS = {
    "up": "Prometheus's own: whether a scrape worked",
    "node_boot_time_seconds": "to tell a reboot from a restart of the exporter",
    "node_filesystem_avail_bytes": "disks that fill",
    "node_filesystem_size_bytes": "how full a disk is",
    "node_filesystem_readonly": "a disk that nothing writes to does not fill",
    "node_memory_MemAvailable_bytes": "memory of the host",
    "node_memory_MemTotal_bytes": "memory of the host",
    "node_vmstat_oom_kill": "programs killed for memory",
    "node_timex_maxerror_seconds": "16 s and more is the kernel's word for not synchronised",
    "node_timex_sync_status": "whether anything keeps the clock",
    "node_textfile_mtime_seconds": "age of the file that upkeep leaves",
    "node_textfile_scrape_error": "whether that file could be read",
    "prometheus_config_last_reload_successful": "whether the rules in force are those on the disk",
    "prometheus_notifications_errors_total": "alerts that did not reach Alertmanager",
    "prometheus_rule_evaluation_failures_total": "rules that could not be worked out",
    "alertmanager_notifications_failed_total": "alerts that did not reach a person",
}
OURS: dict[str, Family] = {family.name: family for family in (*gateway.FAMILIES, *upkeep.FAMILIES)}
LABELS: dict[str, set[str]] = {
    **{name: set(family.labels) for name, family in OURS.items()},
    **{family.name: set(family.labels) for family in exporter.every()},
    **{
        name + suffix: {*family.labels, "le"}
        for name, family in OURS.items()
        if family.kind == "histogram"
        for suffix in ("_bucket", "_count", "_sum")
    },
}


def test_it_asks_the_listeners_where_the_settings_put_them() -> None:
    jobs = {job["job_name"]: job for job in configuration()["scrape_configs"]}
    assert list(jobs) == ["gateway", "engine", "gpu", "node", "prometheus", "alertmanager"]
    admin = [address(GatewaySettings, "admin_host", "admin_port")]
    assert jobs["gateway"]["static_configs"][0]["targets"] == admin
    assert jobs["engine"]["static_configs"][0]["targets"] == admin
    assert jobs["engine"]["metrics_path"] == "/metrics/engine"
    assert jobs["gpu"]["static_configs"][0]["targets"] == [address(ExporterSettings, "host", "port")]


def test_it_sends_what_it_reads_nowhere() -> None:
    assert set(configuration()) == {"global", "rule_files", "alerting", "scrape_configs"}


def test_recorded_names_begin_with_their_level_and_come_once() -> None:
    assert [
        rule.name for rule in rulebook.rules("record") if not re.fullmatch(r"appliance(:[a-z0-9_]+){1,2}", rule.name)
    ] == []
    assert len(RECORDED) == len(rulebook.rules("record"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_asks_only_for_what_is_exposed(rule: rulebook.Rule) -> None:
    vllm = set(re.findall(r"^(vllm:\w+)", VLLM_PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert rulebook.metrics(rule.expr) - RECORDED - set(LABELS) - set(OTHERS) - vllm == set()
    for name, labels in rulebook.selectors(rule.expr):
        if name in LABELS:
            assert set(labels) <= {*LABELS[name], "instance", "job"}, name


def test_nothing_is_listed_that_no_rule_asks_for() -> None:
    asked = {name for rule in RULES for name in rulebook.metrics(rule.expr)}
    assert set(OTHERS) <= asked


def test_objective_is_counted_at_a_real_bound_of_the_histogram() -> None:
    bounds = {
        float(labels["le"].strip('="'))
        for rule in RULES
        for name, labels in rulebook.selectors(rule.expr)
        if name == "appliance_time_to_first_token_seconds_bucket" and "le" in labels
    }
    assert bounds == {2.0}
    assert bounds <= set(gateway.BY_NAME["appliance_time_to_first_token_seconds"].buckets)
    assert 'le="2.0"' in (rulebook.PROMETHEUS / "rules" / "recording.yml").read_text(encoding="utf-8")


def address(settings: type[BaseModel], host: str, port: str) -> str:
    """Where a listener is if nobody sets anything else."""
    return f"{settings.model_fields[host].default}:{settings.model_fields[port].default}"


def configuration() -> dict[str, Any]:
    """prometheus.yml."""
    loaded: dict[str, Any] = yaml.safe_load((rulebook.PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    return loaded
