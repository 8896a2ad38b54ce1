"""Every traffic light of the dashboards shows each of its words when it should; promtool works out the queries."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from deploy.grafana.alerts import PROBLEMS
from deploy.grafana.boards import BOARDS

#: When the queries are worked out, seconds after the beginning of time.
NOW = 10 * 86_400
HOUR = 3_600
LIGHTS = {(board.key, panel.title.en): panel for board in BOARDS for panel in board.panels() if panel.kind == "light"}
FRESH = {"appliance_upkeep_timestamp_seconds": NOW - 600}
OLD = {"appliance_upkeep_timestamp_seconds": NOW - 3 * HOUR}
_LOADED, _PASSED, _INTACT = "appliance_egress_rules_loaded", "appliance_privacy_test_passed", "appliance_audit_intact"
_BACKUP = "appliance_backup_last_success_timestamp_seconds"
_MARGIN = "appliance_gpu_temperature_margin_celsius"
_CHAIN = [
    ({**FRESH, _INTACT: 1, "appliance_audit_writable": 1}, "unbroken"),
    ({**FRESH, _INTACT: 0, "appliance_audit_writable": 1}, "broken"),
    ({**OLD, _INTACT: 0}, "broken"),
    ({**OLD, _INTACT: 1}, "checks stopped"),
    (FRESH, "not checked yet"),
    ({}, "not checked yet"),
]
#: What a light shows: series with their values, and the word.
CASES: dict[tuple[str, str], list[tuple[Mapping[str, float], str]]] = {
    ("overview", "AI engine"): [
        ({"appliance_engine_ready": 1, "appliance_engine_hung": 0}, "working"),
        ({"appliance_engine_ready": 0, "appliance_engine_hung": 0}, "not answering"),
        ({"appliance_engine_ready": 0, "appliance_engine_hung": 1}, "hung"),
        ({}, "gateway gone"),
    ],
    ("overview", "GPU"): [
        ({'appliance_gpu_up{gpu="0"}': 1, 'appliance_gpu_recovery_action{gpu="0",action="reset_gpu"}': 0}, "working"),
        ({'appliance_gpu_up{gpu="0"}': 1, 'appliance_gpu_recovery_action{gpu="0",action="none"}': 1}, "working"),
        ({'appliance_gpu_up{gpu="0"}': 1, 'appliance_gpu_recovery_action{action="reset_gpu"}': 1}, "wants care"),
        ({'appliance_gpu_up{gpu="0"}': 1, 'appliance_gpu_up{gpu="1"}': 0}, "lost"),
        ({"appliance_exporter_nvml_available": 0}, "no GPU"),
        ({}, "not measured"),
    ],
    ("overview", "Privacy"): [
        ({**FRESH, _PASSED: 1, _LOADED: 1}, "nothing leaves"),
        ({**FRESH, _PASSED: 0, _LOADED: 1}, "in danger"),
        ({**FRESH, _PASSED: 1, _LOADED: 0}, "in danger"),
        ({**FRESH, _LOADED: 0}, "in danger"),
        ({**OLD, _PASSED: 1, _LOADED: 1}, "checks stopped"),
        ({**FRESH, _LOADED: 1}, "not checked yet"),
    ],
    ("overview", "Audit"): [*_CHAIN, ({**FRESH, _INTACT: 1, "appliance_audit_writable": 0}, "broken")],
    ("overview", "Backup"): [
        ({"appliance_backup_configured": 1, _BACKUP: NOW - 20 * HOUR}, "fresh"),
        ({"appliance_backup_configured": 1, _BACKUP: NOW - 40 * HOUR}, "too old"),
        ({"appliance_backup_configured": 1}, "too old"),
        ({"appliance_backup_configured": 0, _BACKUP: NOW - 20 * HOUR}, "not set up"),
        ({}, "not checked yet"),
    ],
    ("overview", "Disk"): [
        ({"appliance:disk_available:ratio": 0.5}, "room left"),
        ({'appliance:disk_available:ratio{m="/"}': 0.5, 'appliance:disk_available:ratio{m="/b"}': 0.1}, "getting full"),
        ({"appliance:disk_available:ratio": 0.01}, "nearly full"),
        ({}, "exporter gone"),
    ],
    ("gpu", "Answers"): [
        ({"appliance_gpu_up": 1}, "working"),
        ({"appliance_gpu_up": 0}, "lost"),
        ({"appliance_exporter_nvml_available": 0}, "no GPU"),
        ({}, "not measured"),
    ],
    ("gpu", "Temperature"): [
        ({_MARGIN: 54}, "cool"),
        ({_MARGIN: 9}, "hot"),
        ({_MARGIN: 0}, "too hot"),
        ({_MARGIN + '{gpu="0"}': 50, _MARGIN + '{gpu="1"}': -1}, "too hot"),
        ({}, "not measured"),
    ],
    ("gpu", "The card's memory"): [
        ({"appliance_gpu_row_remap_failed": 0, "appliance_gpu_row_remap_pending": 0}, "sound"),
        ({"appliance_gpu_retired_pages_pending": 0}, "sound"),
        ({"appliance_gpu_row_remap_failed": 0, "appliance_gpu_row_remap_pending": 1}, "reset it"),
        ({"appliance_gpu_retired_pages_pending": 1}, "reset it"),
        ({'appliance_gpu_ecc_errors_total{kind="uncorrected",lifetime="volatile"}': 1}, "reset it"),
        ({'appliance_gpu_ecc_errors_total{kind="uncorrected",lifetime="aggregate"}': 1}, "sound"),
        ({"appliance_gpu_row_remap_failed": 1, "appliance_gpu_row_remap_pending": 1}, "exchange it"),
        ({"appliance_gpu_up": 1}, "not told"),
    ],
    ("privacy", "Firewall rules"): [
        ({**FRESH, _LOADED: 1}, "loaded"),
        ({**FRESH, _LOADED: 0}, "differ"),
        ({**OLD, _LOADED: 1}, "checks stopped"),
        ({}, "not checked yet"),
    ],
    ("privacy", "Privacy test"): [
        ({**FRESH, _PASSED: 1}, "passed"),
        ({**FRESH, _PASSED: 0}, "failed"),
        ({**OLD, _PASSED: 1}, "checks stopped"),
        (FRESH, "not checked yet"),
    ],
    ("privacy", "Chain of the audit"): _CHAIN,
}


def test_every_light_and_every_word_of_it_is_tried() -> None:
    assert {name: {word for _, word in cases} for name, cases in CASES.items()} == {
        name: {state.words.en for state in light.states} for name, light in LIGHTS.items()
    }


@pytest.mark.parametrize("name", LIGHTS, ids=": ".join)
def test_light_shows_the_word(name: tuple[str, str], tmp_path: Path) -> None:
    panel = LIGHTS[name]
    values = {state.words.en: state.value for state in panel.states}
    tests = [
        _test(series, panel.queries[0].promql, [{"labels": "{}", "value": values[word]}])
        for series, word in CASES[name]
    ]
    assert judge(tests, tmp_path) == ""


def test_problems_are_a_row_each_with_what_they_are_about(tmp_path: Path) -> None:
    series = {
        'ALERTS{alertname="A",alertstate="firing",severity="critical",gpu="0",xid="79",job="gpu",instance="b"}': 1,
        'ALERTS{alertname="B",alertstate="firing",severity="warning",instance="b"}': 1,
        'ALERTS{alertname="C",alertstate="pending",severity="warning"}': 1,
        'ALERTS{alertname="Watchdog",alertstate="firing",severity="info"}': 1,
    }
    rows = [
        {"labels": '{alertname="A",remedy="A",severity="critical",where="0 79"}', "value": 1},
        {"labels": '{alertname="B",remedy="B",severity="warning"}', "value": 1},
    ]
    assert judge([_test(series, PROBLEMS, rows)], tmp_path) == ""


def _test(series: Mapping[str, float], promql: str, samples: list[dict[str, object]]) -> dict[str, object]:
    return {
        "interval": "1h",
        "input_series": [{"series": name, "values": f"{value}+0x{NOW // HOUR}"} for name, value in series.items()],
        "promql_expr_test": [{"expr": promql, "eval_time": f"{NOW}s", "exp_samples": samples}],
    }


def judge(tests: list[dict[str, object]], folder: Path) -> str:
    """What promtool has against the tests; nothing if they hold."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": tests}), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
