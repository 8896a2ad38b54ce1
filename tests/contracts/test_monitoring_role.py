"""What the playbook makes of the kit's monitoring: no job and no rule about what the box lacks, and nobody else's address."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from deploy.kit import wheels
from tests.contracts import rulebook

ROLE = rulebook.ROOT / "ansible" / "roles" / "monitoring"
DEPLOYED = rulebook.ROOT / "deploy" / "prometheus"
SCRAPED = (DEPLOYED / "prometheus.yml").read_text(encoding="utf-8")
ALL = ["gateway", "engine", "gpu", "node", "prometheus", "alertmanager"]


def role(file: str) -> Any:
    return yaml.safe_load((ROLE / file).read_text(encoding="utf-8"))


VARIABLES = role("vars/main.yml")
LEFT_OUT: dict[str, list[str]] = VARIABLES["monitoring_jobs_left_out"]


def jobs(text: str) -> list[str]:
    return [job["job_name"] for job in yaml.safe_load(text)["scrape_configs"]]


def written(variant: str) -> str:
    """What the task writes for a kit of this variant, by the same expression."""
    names = LEFT_OUT[variant]
    pattern = VARIABLES["monitoring_job_pattern"].replace("NAMES", "|".join(names))
    return re.sub(pattern, "", SCRAPED) if names else SCRAPED


def test_every_variant_of_a_kit_is_provided_for() -> None:
    assert set(LEFT_OUT) == set(VARIABLES["monitoring_rules_left_out"]) == set(wheels.LOCKS)


@pytest.mark.parametrize("variant", LEFT_OUT)
def test_jobs_without_a_program_are_left_out_and_no_other_line_is(variant: str) -> None:
    assert jobs(written(variant)) == [job for job in ALL if job not in LEFT_OUT[variant]]
    whole, made = yaml.safe_load(SCRAPED), yaml.safe_load(written(variant))
    assert {**whole, "scrape_configs": ...} == {**made, "scrape_configs": ...}
    assert made["scrape_configs"] == [
        job for job in whole["scrape_configs"] if job["job_name"] not in LEFT_OUT[variant]
    ]


@pytest.mark.parametrize("variant", LEFT_OUT)
def test_no_alert_misses_a_job_that_was_left_out(variant: str) -> None:
    gone = VARIABLES["monitoring_rules_left_out"][variant]
    assert {DEPLOYED / "rules" / file for file in gone} <= set((DEPLOYED / "rules").iterdir())
    kept = [path for path in sorted((DEPLOYED / "rules").glob("*.yml")) if path.name not in gone]
    asked = {
        name for path in kept for name in re.findall(r'absent\(up\{job="(\w+)"\}\)', path.read_text(encoding="utf-8"))
    }
    assert asked
    assert asked & set(LEFT_OUT[variant]) == set()


@pytest.mark.parametrize("unit", ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"])
def test_whoever_is_asked_on_loopback_listens_there(unit: str) -> None:
    text = (ROLE / "templates" / "etc" / "default" / unit).read_text(encoding="utf-8")
    assert re.findall(r"--web\.listen-address=(\S+?):\d+", text) == ["127.0.0.1"]


def test_grafana_alone_moves_to_the_address_of_the_inventory() -> None:
    using = [path for path in ROLE.rglob("*.*") if "monitoring_address" in path.read_text(encoding="utf-8")]
    assert sorted(str(path.relative_to(ROLE)) for path in using) == [
        "defaults/main.yml",
        "meta/argument_specs.yml",
        "tasks/grafana.yml",
    ]
    settings = (rulebook.ROOT / "deploy" / "grafana" / "grafana.ini").read_text(encoding="utf-8")
    pattern = re.search(
        r"regex_replace\('(\(\?m\)\^http_addr[^']*)'", (ROLE / "tasks/grafana.yml").read_text(encoding="utf-8")
    )
    assert pattern
    assert len(re.findall(pattern[1], settings)) == 1
