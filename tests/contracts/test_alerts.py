"""Every alert can be understood and acted on in both languages, and is tried firing and quiet."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.exporter import xids
from deploy.grafana.boards import BOARDS
from tests.contracts import rulebook

ALERTS = rulebook.rules("alert")
OPERATIONS = rulebook.ROOT / "docs" / "operations.md"
SEVERITIES = {"info", "warning", "critical"}
DASHBOARDS = {"overview", "latency", "apps", "gpu", "engine", "privacy"}
TEXTS = ("summary_ko", "summary_en", "runbook_ko", "runbook_en")
#: Its whole point is that it always fires.
NEVER_QUIET = {"Watchdog"}
HANGUL = re.compile("[가-힣]")
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is absent: apt install prometheus"
)


def promtool(*arguments: str, at: Path = rulebook.PROMETHEUS) -> str:
    """What promtool says; fails with that if it objects."""
    done = subprocess.run(["promtool", *arguments], cwd=at, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_no_two_alerts_have_one_name() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS) > 0


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_alert_says_what_it_is_and_what_to_do_in_both_languages(alert: rulebook.Rule) -> None:
    assert alert.body["labels"]["severity"] in SEVERITIES
    said = alert.body["annotations"]
    assert said["dashboard"] in DASHBOARDS
    assert set(said) == {*TEXTS, "dashboard"}
    for key in TEXTS:
        assert said[key].endswith(".")
        assert "\n" not in said[key]
        assert bool(HANGUL.search(said[key])) == key.endswith("_ko"), said[key]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_alert_has_a_case_that_fires_it_and_one_that_does_not(alert: rulebook.Rule) -> None:
    cases = [case for case in rulebook.cases() if case.alert == alert.name]
    assert {case.fires for case in cases} == ({True} if alert.name in NEVER_QUIET else {True, False})
    asked = rulebook.sources(alert.expr)
    for case in cases:
        assert alert.file in case.rule_files, "a case that does not load the alert proves nothing"
        # Without a series that the alert asks for, quiet would be no wonder.
        assert case.fires or case.metrics & asked


def test_every_case_is_about_an_alert_that_exists() -> None:
    assert {case.alert for case in rulebook.cases()} <= {alert.name for alert in ALERTS}


def test_every_class_of_xid_has_an_alert() -> None:
    asked = " ".join(labels.get("action", "") for alert in ALERTS for _, labels in rulebook.selectors(alert.expr))
    assert [action for _, action in xids.LABELS if f'="{action}"' not in asked] == []


@pytest.mark.parametrize("bit", ["0x8", "0x40", "0x80"])
def test_slowdowns_of_the_hardware_have_an_alert_with_their_bit(bit: str) -> None:
    assert [alert for alert in ALERTS if alert.body["labels"].get("bit") == bit]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_operations_say_step_by_step_what_to_do(alert: rulebook.Rule) -> None:
    section = sections()[alert.name]
    assert section.startswith(f" — {alert.body['labels']['severity']}\n")
    assert alert.body["annotations"]["runbook_ko"] in section
    assert alert.body["annotations"]["runbook_en"] in section
    korean, english = section.split(alert.body["annotations"]["runbook_en"])
    numbered = re.compile(r"^\d+\. ", re.MULTILINE)
    assert len(numbered.findall(korean)) == len(numbered.findall(english)) > 0
    assert not HANGUL.search(english)


def test_operations_have_no_section_of_an_alert_that_is_gone() -> None:
    assert list(sections()) == [alert.name for file in order() for alert in ALERTS if alert.file == file]


def test_procedures_that_steps_refer_to_are_there() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    referred = set(re.findall(r"\]\(#([a-z])\)", text))
    assert referred == {letter.lower() for letter in re.findall(r"^### ([A-Z])$", text, re.MULTILINE)}


def test_units_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"appliance-[\w-]+\.(?:service|timer|socket)", OPERATIONS.read_text(encoding="utf-8")))
    assert len(named) > 1
    assert [unit for unit in named if not (rulebook.ROOT / "systemd" / unit).is_file()] == []


def test_dashboards_and_panels_that_the_page_names_are_there() -> None:
    text = re.sub(r"`[^`\n]*`", "", OPERATIONS.read_text(encoding="utf-8"))
    korean = set(re.findall(r'"([^"\n]*)" 화면', text))
    english = set(re.findall(r"[Tt]he (\w+(?: and quotas)?) dashboard\b", text))
    # What stands between single quotes is a panel; an apostrophe follows a letter.
    quoted = set(re.findall(r"(?<!\w)'([^'\n]+)'", text))
    assert min(len(korean), len(english), len(quoted)) > 1
    assert korean <= {board.title.ko for board in BOARDS}
    assert english <= {board.title.en for board in BOARDS}
    assert quoted <= {word for board in BOARDS for panel in board.panels() for word in (panel.title.ko, panel.title.en)}


@needs_promtool
def test_promtool_accepts_configuration_and_rules() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    for path in rulebook.RULE_FILES:
        assert "SUCCESS" in promtool("check", "rules", str(path))


@needs_promtool
@pytest.mark.parametrize("path", rulebook.TEST_FILES, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", path.name, at=path.parent)


def sections() -> dict[str, str]:
    """The part of docs/operations.md about each alert, by its name."""
    text = OPERATIONS.read_text(encoding="utf-8")
    parts = re.split(r"^### `(\w+)`", text, flags=re.MULTILINE)
    return {
        name: re.split(r"^##? ", body, maxsplit=1, flags=re.MULTILINE)[0]
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def order() -> list[str]:
    """The rule files in the order in which the page treats them."""
    return ["service", "gpu", "host", "privacy", "monitoring"]
