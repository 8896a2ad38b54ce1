"""The dashboards: JSON as the code makes it, a unit and words on every panel, metrics that exist, nothing from outside."""

from __future__ import annotations

import configparser
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models import units

from appliance.core import upkeep
from appliance.exporter import families as exporter
from appliance.gateway import families as gateway
from deploy.grafana import alerts, page
from deploy.grafana.board import Board, Panel
from deploy.grafana.boards import BOARDS, FOLDER, file
from deploy.grafana.drawing import DATASOURCE, description, draw

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
VLLM = (ROOT / "tests" / "goldens" / "vllm_metrics.txt").read_text(encoding="utf-8")
#: Debian's prometheus-node-exporter with its default collectors, and what Prometheus makes itself.
OTHERS = {
    "ALERTS",
    "node_cpu_seconds_total",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "appliance_clock_offset_seconds",
    "up",
}
UNITS = {value for value in vars(units).values() if isinstance(value, str)}
KOREAN, LATIN = re.compile(r"[가-힣]"), re.compile(r"[A-Za-z]{2}")
PANELS = [(board, panel) for board in BOARDS for panel in board.panels()]
every_panel = pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=[f"{board.key}: {panel.title.en}" for board, panel in PANELS]
)
every_board = pytest.mark.parametrize("board", BOARDS, ids=[board.key for board in BOARDS])


def drawn(board: Board) -> dict[str, Any]:
    return json.loads(file(board).read_text(encoding="utf-8"))


def panels(board: Board) -> list[dict[str, Any]]:
    return [panel for panel in drawn(board)["panels"] if panel["type"] != "row"]


def metrics(promql: str) -> Iterator[str]:
    """Names of the series an expression asks for: not functions, keywords, labels or what stands in quotes."""
    promql = re.sub(r'"[^"]*"|\'[^\']*\'', '""', promql)
    promql = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", promql)
    promql = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", promql)
    for name in re.findall(r"(?<![\w:$])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])", promql):
        if name not in {"or", "and", "unless", "bool", "e9", "e6"}:
            yield name


@functools.cache
def known() -> set[str]:
    names = set(OTHERS)
    for family in (*gateway.FAMILIES, *upkeep.FAMILIES, *exporter.every()):
        names.add(family.name)
        if family.kind == "histogram":
            names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
    names |= set(re.findall(r"^(vllm:\w+)[{ ]", VLLM, re.MULTILINE))
    for rules in sorted(alerts.RULES.glob("*.yml")):
        for group in yaml.safe_load(rules.read_text(encoding="utf-8"))["groups"]:
            names |= {rule["record"] for rule in group["rules"] if "record" in rule}
    return names


@every_board
def test_json_is_what_the_code_makes(board: Board) -> None:
    assert file(board).read_text(encoding="utf-8") == draw(board), "run `make dashboards` and commit"


def test_no_dashboard_lies_there_that_the_code_does_not_make() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(file(board).name for board in BOARDS)


def test_page_is_what_the_code_makes() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.text(BOARDS), "run `make dashboards` and commit"


@every_panel
def test_panel_says_what_it_shows_in_both_languages(board: Board, panel: Panel) -> None:
    for words in (panel.title, panel.text, panel.red):
        if words is None:
            continue
        assert words.ko
        assert LATIN.search(words.en)
        assert not KOREAN.search(words.en)
    assert KOREAN.search(panel.text.ko)
    assert len({shown.title.line for shown in board.panels()}) == len(list(board.panels())), "two panels of one title"


@every_panel
def test_panel_has_a_unit_that_grafana_knows(board: Board, panel: Panel) -> None:
    assert panel.unit in UNITS or panel.unit.startswith("suffix:")
    if panel.unit == "none":  # words, not numbers
        assert panel.states or panel.columns
    assert {column.unit for column in panel.columns} <= UNITS | {""}


@every_panel
def test_panel_asks_something_and_names_its_series(board: Board, panel: Panel) -> None:
    assert panel.queries
    for query in panel.queries:
        assert query.promql.strip()
        assert query.legend.strip()
        assert query.promql.count("(") == query.promql.count(")")


@every_panel
def test_panel_asks_for_metrics_that_exist(board: Board, panel: Panel) -> None:
    names = {name for query in panel.queries for name in metrics(query.promql)}
    names |= {
        name
        for query in panel.queries
        for quoted in re.findall(r'__name__=~"([^"]+)"', query.promql)
        for name in quoted.split("|")
    }
    assert names
    assert names - known() == set()


@every_panel
def test_panel_that_turns_red_says_what_to_do(board: Board, panel: Panel) -> None:
    if panel.states or panel.steps:
        assert panel.red, "a colour that asks for something, and nothing that says what"


@every_panel
def test_states_of_a_light_differ(board: Board, panel: Panel) -> None:
    assert len({state.value for state in panel.states}) == len(panel.states)
    assert len({state.words.line for state in panel.states}) == len(panel.states)
    assert [step.value for step in panel.steps] == sorted(step.value for step in panel.steps)
    assert bool(panel.states) == (panel.kind == "light")
    assert bool(panel.columns) == (panel.kind == "table")


@every_board
def test_grafana_gets_unit_words_queries_and_legend(board: Board) -> None:
    made = panels(board)
    assert len(made) == len(list(board.panels()))
    for panel, shown in zip(board.panels(), made, strict=True):
        assert shown["title"] == panel.title.line
        assert shown["description"] == description(panel)
        assert shown["fieldConfig"]["defaults"]["unit"] == panel.unit
        assert [target["expr"] for target in shown["targets"]] == [query.promql for query in panel.queries]
        assert all(target["legendFormat"] for target in shown["targets"])
        if shown["type"] == "timeseries":
            assert shown["options"]["legend"]["showLegend"]


@every_board
def test_panels_lie_side_by_side_on_the_grid(board: Board) -> None:
    taken: dict[tuple[int, int], int] = {}
    for panel in drawn(board)["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert taken.setdefault(cell, panel["id"]) == panel["id"], f"{panel['title']} lies upon another panel"
    assert len({panel["id"] for panel in drawn(board)["panels"]}) == len(drawn(board)["panels"])


def test_every_source_is_the_provisioned_prometheus() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    assert [one["uid"] for one in source["datasources"]] == [DATASOURCE.uid]
    text = "".join(file(board).read_text(encoding="utf-8") for board in BOARDS)
    found = set(re.findall(r'"uid": "([^"]*)"', text)) - {board.uid for board in BOARDS}
    assert found == {DATASOURCE.uid}


def test_scrape_interval_is_prometheus_own() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    assert source["datasources"][0]["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]


def test_nothing_is_asked_from_outside() -> None:
    files = [*FOLDER.iterdir(), *(GRAFANA / "provisioning").rglob("*.yml"), GRAFANA / "grafana.ini"]
    found = {
        url for path in files for url in re.findall(r"\b(?:https?:)?//[^\s\"';]+", path.read_text(encoding="utf-8"))
    }
    assert {url for url in found if not url.startswith(("http://127.0.0.1:", "//$ROOT_PATH"))} == set()


def test_grafana_phones_nothing_home() -> None:
    ini = configparser.RawConfigParser()
    ini.read_string((GRAFANA / "grafana.ini").read_text(encoding="utf-8"))
    off = {
        "analytics": ("reporting_enabled", "check_for_updates", "check_for_plugin_updates", "feedback_links_enabled"),
        "plugins": ("plugin_admin_enabled", "preinstall_auto_update"),
        "news": ("news_feed_enabled",),
        "snapshots": ("enabled", "external_enabled"),
        "public_dashboards": ("enabled",),
        "auth.anonymous": ("enabled",),
        "users": ("allow_sign_up", "allow_org_create"),
    }
    on = {"plugins": ("preinstall_disabled", "public_key_retrieval_disabled"), "security": ("disable_gravatar",)}
    assert [(part, key) for part, keys in off.items() for key in keys if ini.getboolean(part, key)] == []
    assert [(part, key) for part, keys in on.items() for key in keys if not ini.getboolean(part, key)] == []
    assert ini["security"]["admin_password"].startswith("$__file{")
    assert "grafana.com" not in ini["security"]["content_security_policy_template"]
    assert ini["server"]["http_addr"] == "127.0.0.1"


def test_every_alert_has_words_in_the_table_of_problems() -> None:
    severity, problem, _, remedy = alerts.columns()
    names = {str(rule["alert"]) for rule in alerts.rules()}
    assert names
    for column in (problem, remedy):
        assert {value for value, _, _ in column.texts} == names
        assert all(KOREAN.search(text) and LATIN.search(text) for _, text, _ in column.texts)
        assert not [text for _, text, _ in column.texts if "{{" in text]
    assert {rule["labels"]["severity"] for rule in alerts.rules()} <= {value for value, _, _ in severity.texts}


def test_every_dashboard_that_an_alert_names_is_there() -> None:
    named = {rule["annotations"]["dashboard"] for rule in alerts.rules() if "dashboard" in rule["annotations"]}
    assert named
    assert named <= {board.key for board in BOARDS}


def remarks() -> Iterator[str]:
    """What the dashboards say, both languages, without titles."""
    for _, panel in PANELS:
        for words in (panel.text, panel.red):
            yield from (words.ko, words.en) if words else ()


def test_every_panel_and_row_that_is_quoted_is_there() -> None:
    titles = [*(panel.title for _, panel in PANELS), *(row.title for board in BOARDS for row in board.rows)]
    names = {name for title in titles for name in (title.ko, title.en)}
    names |= {
        legend for _, panel in PANELS for query in panel.queries for legend in re.split(r" · | \{\{", query.legend)
    }
    quoted = {name for text in remarks() for name in re.findall(r"(?<![\w])'([^']+)'(?!\w*[a-z])", text)}
    assert quoted
    assert quoted - names == set()


def test_every_alert_that_a_panel_sends_to_is_there() -> None:
    names = {str(rule["alert"]) for rule in alerts.rules()}
    named = {name for text in remarks() for name in re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", text)}
    assert named
    assert named - names == set()


def test_every_procedure_that_a_panel_sends_to_is_there() -> None:
    there = set(re.findall(r"^### ([A-Z])$", (ROOT / "docs/operations.md").read_text(encoding="utf-8"), re.MULTILINE))
    named = {letter for text in remarks() for letter in re.findall(r"docs/operations\.md의 ([A-Z])(?![A-Za-z])", text)}
    named |= {letter for text in remarks() for letter in re.findall(r"\b([A-Z]) in docs/operations\.md", text)}
    assert named
    assert named - there == set()


def test_every_light_and_dashboard_that_the_runbook_names_is_there() -> None:
    runbook = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    lights = {*re.findall(r"'([^'\n]+)' 불", runbook), *re.findall(r"light '([^'\n]+)'", runbook)}
    assert lights
    assert lights - {name for _, panel in PANELS for name in (panel.title.ko, panel.title.en)} == set()
    boards = set(re.findall(r'"([^"\n]+)" 화면', runbook))
    assert boards
    assert boards - {board.title.ko for board in BOARDS} == set()


def test_labels_that_alerts_name_are_shown_beside_them() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in alerts.RULES.glob("*.yml"))
    assert {name for name in re.findall(r"\$labels\.(\w+)", text) if f'"{name}"' not in alerts.PROBLEMS} == set()
