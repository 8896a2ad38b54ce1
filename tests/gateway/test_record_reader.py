"""Reading while another writes, and saying why not."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.core.audit_chain import Record
from appliance.errors import StateUnusable
from appliance.gateway.record_reader import RecordReader
from appliance.gateway.record_store import RecordStore

HOUR = 3_600_000


def test_usage_is_read_by_span_of_hours_while_a_gateway_writes(state_dir: Path) -> None:
    path = state_dir / "records.sqlite3"
    with closing(RecordStore(path)) as store:
        store.append([Record("whole", hour * HOUR + 5, f"r{hour}", app="homework", method="POST") for hour in range(5)])
        reader = RecordReader(path)
        assert sorted(place.hour for place in reader.usage()) == [0, 3600, 7200, 10_800, 14_400]
        assert [place.hour for place in reader.usage(3600, 7200)] == [3600]
        with reader.look() as database:
            store.append([Record("whole", 9 * HOUR, "later", app="homework", method="POST")])
            assert database.execute("SELECT count(*) FROM record").fetchone() == (5,)
        assert reader.verify().records == 6


def written(state_dir: Path) -> Path:
    path = state_dir / "records.sqlite3"
    with closing(RecordStore(path)) as store:
        store.append([Record("whole", HOUR, "r1", app="homework", method="POST")])
    return path


def refusal(path: Path) -> StateUnusable:
    with pytest.raises(StateUnusable) as told:
        RecordReader(path).usage()
    return told.value


def test_box_that_never_recorded_is_told_to_start_the_gateway(state_dir: Path) -> None:
    told = refusal(state_dir / "records.sqlite3")
    assert "no records" in told.message
    assert "Start the gateway" in told.remedy


@pytest.mark.parametrize("name", ["whole", "cut", "table", "empty"])
def test_damaged_file_is_told_to_be_restored(state_dir: Path, name: str) -> None:
    path = written(state_dir)
    content = path.read_bytes()
    if name == "table":
        with closing(sqlite3.connect(path)) as database:
            database.execute("DROP TABLE record")
    else:
        path.write_bytes({"whole": b"not a database" * 100, "cut": content[: len(content) // 2], "empty": b""}[name])
    told = refusal(path)
    assert "cannot be read" in told.message
    assert "Restore" in told.remedy
    assert "permission" not in told.remedy


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_CANTOPEN, "read permission"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "read permission"),
        (sqlite3.SQLITE_BUSY, "try again"),
        (sqlite3.SQLITE_IOERR_READ, "disk"),
        (sqlite3.SQLITE_CORRUPT, "Restore"),
    ],
)
def test_each_cause_has_its_own_remedy(state_dir: Path, code: int, said: str) -> None:
    error = sqlite3.OperationalError("told by SQLite")
    error.sqlite_errorcode = code
    path = written(state_dir)
    with pytest.raises(StateUnusable) as told, RecordReader(path).look():
        raise error
    assert said in told.value.remedy


def test_directory_without_the_right_is_told_to_be_opened(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = written(state_dir)
    monkeypatch.setattr(os, "statvfs", forbidden)
    assert "read permission" in refusal(path).remedy


@pytest.mark.parametrize("left", [(".head",), (".key",), (".head", ".key")])
def test_database_removed_beside_its_sealed_head_is_tampering(state_dir: Path, left: tuple[str, ...]) -> None:
    path = written(state_dir)
    for file in state_dir.glob("records.*"):
        if file.suffix not in left:
            file.unlink()
    found = RecordReader(path).verify().problem
    assert found is not None
    assert found.message == "the database is gone, its sealed head is there."
    assert "Restore" in refusal(path).remedy


def test_reading_makes_and_leaves_nothing(state_dir: Path) -> None:
    path = written(state_dir)
    before = sorted(state_dir.iterdir())
    RecordReader(path).verify()
    with RecordReader(path).look() as database, pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.execute("DELETE FROM record")
    assert sorted(state_dir.iterdir()) == before


def test_read_only_file_system_is_read(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(state_dir)
    flags = SimpleNamespace(f_flag=os.ST_RDONLY)
    monkeypatch.setattr(os, "statvfs", lambda _: flags)
    with RecordReader(path).look() as database:
        assert not path.with_name(path.name + "-shm").exists(), "which could not be made there"
        assert database.execute("SELECT count(*) FROM record").fetchone() == (1,)
    with closing(RecordStore(path)) as store:
        store.append([Record("whole", 2 * HOUR, "r2", app="homework", method="POST")])
        assert RecordReader(path).verify().records == 2, "what is in the log is not left out"


def test_directory_that_may_only_be_read_is_read(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(state_dir)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with RecordReader(path).look() as database:
        assert not path.with_name(path.name + "-shm").exists()
        assert database.execute("SELECT count(*) FROM record").fetchone() == (1,)
