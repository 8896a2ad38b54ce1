"""What an auditor asks for, and the exit status that a script relies on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from appliance.cli.main import app
from appliance.core.audit_chain import Record
from appliance.gateway.record_store import RecordStore


@pytest.fixture
def store(state_dir: Path) -> Iterator[RecordStore]:
    with closing(RecordStore(state_dir / "records.sqlite3")) as store:
        store.append([Record("whole", 1_767_268_800_000, f"r{n}", app="homework", method="POST") for n in range(9)])
        yield store


def report(state_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["report", "--verify-audit", "--state-dir", str(state_dir), *options])


def test_whole_audit_is_exit_status_0_and_says_its_head(state_dir: Path, store: RecordStore) -> None:
    result = report(state_dir)
    assert result.exit_code == 0
    assert str(store.head) in result.stdout
    assert "whole" in result.stdout


def test_broken_audit_is_exit_status_1_and_names_the_record(state_dir: Path, store: RecordStore) -> None:
    with closing(sqlite3.connect(state_dir / "records.sqlite3")) as database, database:
        database.execute("DELETE FROM record WHERE sequence = 4")
    result = report(state_dir, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["ok"], told["problem"]) == (False, {"sequence": 4, "message": "record 4 is missing."})
    assert "record 4 is missing" in report(state_dir).stdout


def test_head_noted_elsewhere_must_be_in_the_chain(state_dir: Path, store: RecordStore) -> None:
    noted = str(store.head)
    assert report(state_dir, "--head", noted).exit_code == 0
    other = f"{store.head.sequence + 5}:{'0' * 64}"
    assert report(state_dir, "--head", noted, "--head", other).exit_code == 1
    assert report(state_dir, "--head", "nonsense").exit_code != 0


def test_database_removed_beside_its_head_is_broken(state_dir: Path) -> None:
    with closing(RecordStore(state_dir / "records.sqlite3")) as store:
        store.append([Record("whole", 1_767_268_800_000, "r", app="homework", method="POST")])
    (state_dir / "records.sqlite3").unlink()
    result = report(state_dir)
    assert result.exit_code == 1
    assert "BROKEN: the database is gone, its sealed head is there" in result.stdout
    told = json.loads(report(state_dir, "--json").stdout)
    assert (told["ok"], told["records"]) == (False, 0)


def test_box_without_records_is_told_so(state_dir: Path) -> None:
    result = report(state_dir)
    assert result.exit_code != 0
    assert "no records" in str(result.exception)
