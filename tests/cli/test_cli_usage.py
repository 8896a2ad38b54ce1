"""The account of use as table, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from appliance.cli.main import app
from appliance.core.audit_chain import Record
from appliance.gateway.record_store import RecordStore

NOON_MS = 1_767_268_800_000  # 2026-01-01T12:00Z
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def _records(state_dir: Path) -> None:
    def closed(app_name: str, hours: int, **fields: object) -> Record:
        usual = {"method": "POST", "model": "llama", "outcome": "answered", "tokens_from": "engine"}
        return Record("close", NOON_MS + hours * HOUR_MS, "r", app=app_name, **{**usual, **fields})  # type: ignore[arg-type]

    with closing(RecordStore(state_dir / "records.sqlite3")) as store:
        store.append(
            [
                closed("homework", 0, input_tokens=10, output_tokens=20, queue_ms=1500, generation_ms=2500),
                closed("homework", 1, outcome="cancelled", output_tokens=1),
                closed("=quiz", 24, outcome="failed"),
            ]
        )


def usage(state_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["usage", "--state-dir", str(state_dir), *options])


def test_json_has_every_sum_by_app(state_dir: Path) -> None:
    quiz, homework = json.loads(usage(state_dir, "--json").stdout)
    assert homework == {
        "app": "homework", "requests": 2, "errors": 0, "cancelled": 1, "unmeasured": 0,
        "input_tokens": 10, "output_tokens": 21, "queue_seconds": 1.5, "generation_seconds": 2.5,
    }  # fmt: skip
    assert (quiz["app"], quiz["errors"]) == ("=quiz", 1)


def test_csv_has_the_same_columns_and_no_formula(state_dir: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(usage(state_dir, "--by", "app", "--by", "day", "--csv").stdout)))
    assert [(row["app"], row["day"]) for row in rows] == [("'=quiz", "2026-01-02"), ("homework", "2026-01-01")]
    assert rows[1]["generation_seconds"] == "2.5"


def test_table_and_span_of_time(state_dir: Path) -> None:
    assert "homework" in usage(state_dir).stdout
    span = usage(state_dir, "--by", "hour", "--since", "2026-01-01T13:00", "--until", "2026-01-02", "--json")
    assert [row["hour"] for row in json.loads(span.stdout)] == ["2026-01-01T13:00Z"]


def test_odd_options_are_refused(state_dir: Path) -> None:
    assert usage(state_dir, "--since", "yesterday").exit_code != 0
    assert usage(state_dir, "--json", "--csv").exit_code != 0
    assert usage(state_dir, "--by", "colour").exit_code != 0
