"""The alert rules, read for their words: what each alert means and what to do about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from deploy.grafana.board import AMBER, BLUE, RED, Column, Words

RULES = Path(__file__).resolve().parents[1] / "prometheus" / "rules"


def rules() -> list[dict[str, Any]]:
    """Every alert rule in ``deploy/prometheus/rules``, by name."""
    groups = [
        group
        for file in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    ]
    found = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    return sorted(found, key=lambda rule: str(rule["alert"]))


#: Which part of the box an alert is about, of those that say so; the others' labels are how they are measured.
_WHERE = ("gpu", "xid", "action", "reason", "collector", "mountpoint", "certificate", "check", "source", "class")
#: The alert that always fires, so that its silence tells somebody: no problem.
_ALWAYS = "Watchdog"
#: Firing alerts with their words to be: ``remedy`` is the name once more, for a column of its own.
PROBLEMS = (
    "min by (severity, alertname, remedy, where) (label_replace(label_join(label_replace("
    f'ALERTS{{alertstate="firing",alertname!="{_ALWAYS}"}}, '
    '"remedy", "$1", "alertname", "(.*)"), "where", " ", '
    + ", ".join(f'"{label}"' for label in _WHERE)
    # Labels that it has not leave their blanks.
    + '), "where", "$1", "where", " *(.*?) *"))'
)


def plain(words: str) -> str:
    """An annotation without its template: the labels that it would name are in a column of their own."""
    return re.sub(r"\{\{ (?:range|if) .*?\{\{ end \}\}|\{\{.*?\}\}", "…", words)


def _words(rule: dict[str, str], name: str) -> str:
    return Words(plain(rule[f"{name}_ko"]), plain(rule[f"{name}_en"])).line


def columns() -> tuple[Column, ...]:
    """The table of firing alerts. Annotations are no labels, so their words are put into the dashboard."""
    alerts = {str(rule["alert"]): rule["annotations"] for rule in rules()}
    return (
        Column(
            "severity",
            Words("언제", "When"),
            texts=(
                ("critical", "지금 · now", RED),
                ("warning", "오늘 안에 · today", AMBER),
                ("info", "알아두기 · to know", BLUE),
            ),
            width=160,
        ),
        Column(
            "alertname",
            Words("문제", "Problem"),
            texts=tuple((name, _words(words, "summary"), "") for name, words in alerts.items()),
        ),
        Column("where", Words("어디", "Where"), width=160),
        Column(
            "remedy",
            Words("할 일", "What to do"),
            texts=tuple((name, _words(words, "runbook"), "") for name, words in alerts.items()),
        ),
    )
