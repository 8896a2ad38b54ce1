"""Prometheus's rules and their tests as they stand in deploy/, for the contracts about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULE_FILES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TEST_FILES = sorted((PROMETHEUS / "tests").glob("*.yml"))
#: Words of PromQL that stand where a metric could.
_WORDS = {
    "and",
    "or",
    "unless",
    "by",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "without",
    "bool",
    "offset",
    "inf",
}
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: of the alert or of the recorded series.
        file: its rule file's stem.
        expr: the query.
        body: everything else that stands there.
    """

    name: str
    file: str
    expr: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One case of `promtool test rules` about one alert.

    Attributes:
        alert: whose it is.
        fires: whether the alert is expected to fire.
        rule_files: stems of the rule files that it loads.
        metrics: names of the series that go in.
    """

    alert: str
    fires: bool
    rule_files: frozenset[str]
    metrics: frozenset[str]


@cache
def rules(kind: str) -> tuple[Rule, ...]:
    """All rules of a kind, ``alert`` or ``record``."""
    return tuple(
        Rule(rule[kind], path.stem, rule["expr"], rule)
        for path in RULE_FILES
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if kind in rule
    )


def metrics(expr: str) -> set[str]:
    """The names of the series that a query asks for."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', "", expr)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"(?<![\w:])[0-9][0-9a-z.]*", " ", bare)
    functions = {found[1] for found in re.finditer(r"([a-zA-Z_]\w*)\s*\(", bare)}
    return set(_NAME.findall(bare)) - functions - _WORDS


def selectors(expr: str) -> list[tuple[str, dict[str, str]]]:
    """Each metric that is asked for with labels, and the labels: name to operator and value."""
    return [
        (name, dict(re.findall(r'(\w+)\s*((?:=~|!~|!=|=)"[^"]*")', inside))) for name, inside in _SELECTOR.findall(expr)
    ]


def sources(expr: str) -> set[str]:
    """The metrics that a query goes back to, through what is recorded."""
    recorded = {rule.name: rule.expr for rule in rules("record")}
    found: set[str] = set()
    waiting = metrics(expr)
    while waiting:
        name = waiting.pop()
        if name in recorded:
            waiting |= metrics(recorded[name])
        else:
            found.add(name)
    return found


@cache
def cases() -> tuple[Case, ...]:
    """Every case about an alert, from all test files."""
    return tuple(case for path in TEST_FILES for case in _cases(yaml.safe_load(path.read_text(encoding="utf-8"))))


def _cases(document: dict[str, Any]) -> list[Case]:
    loaded = frozenset(Path(file).stem for file in document["rule_files"])
    found = []
    for test in document["tests"]:
        into = frozenset(_NAME.match(entry["series"])[0] for entry in test.get("input_series", []))  # type: ignore[index]
        for entry in test.get("alert_rule_test", []):
            found.append(Case(entry["alertname"], bool(entry["exp_alerts"]), loaded, into))
        for entry in test.get("promql_expr_test", []):
            if entry["expr"].startswith("ALERTS{"):
                names = re.findall(r'alertname="(\w+)"', " ".join(sample["labels"] for sample in entry["exp_samples"]))
                found += [Case(name, True, loaded, into) for name in names]
    return found
