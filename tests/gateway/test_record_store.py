"""Records on disk: durable, chained, pruned, and mended after a crash."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from appliance.core import audit_chain
from appliance.core.audit_chain import Record
from appliance.core.believed_time import BelievedTime
from appliance.gateway import record_store
from appliance.gateway.record_reader import RecordReader
from appliance.gateway.record_store import RecordStore


@pytest.fixture
def path(state_dir: Path) -> Path:
    return state_dir / "records.sqlite3"


def request(number: int, kind: str = "whole", **fields: object) -> Record:
    usual = {"app": "homework", "method": "POST", "model": "llama", "outcome": "" if kind == "open" else "answered"}
    return Record(kind, 1_767_268_800_000 + number, f"req-{number}", **{**usual, **fields})  # type: ignore[arg-type]


def write(path: Path, *records: Record) -> None:
    with closing(RecordStore(path)) as store:
        store.append(records)


def problem(path: Path) -> str:
    found = RecordReader(path).verify().problem
    return found.message if found else ""


def test_records_survive_closing_and_go_on_in_one_chain(path: Path) -> None:
    for start in (1, 101, 201):
        write(path, *(request(number) for number in range(start, start + 100)))
    verdict = RecordReader(path).verify()
    assert (verdict.records, verdict.head.sequence, verdict.unsealed, verdict.problem) == (300, 300, 0, None)


def test_writers_of_two_processes_take_turns(path: Path) -> None:
    with closing(RecordStore(path)) as first, closing(RecordStore(path)) as second:
        for number in range(10):
            first.append([request(2 * number)])
            second.append([request(2 * number + 1)])
    assert RecordReader(path).verify().records == 20
    assert problem(path) == ""


def test_use_is_booked_with_the_records(path: Path) -> None:
    write(path, *(request(number, output_tokens=2, input_tokens=3) for number in range(5)))
    write(path, request(6, app="quiz"))
    booked = RecordReader(path).usage()
    assert {place.app: (tally.requests, tally.output_tokens) for place, tally in booked.items()} == {
        "homework": (5, 10),
        "quiz": (1, 0),
    }
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE usage SET output_tokens = 1 WHERE app = 'homework'")
    assert "account of use" in problem(path)


def test_what_a_crash_left_open_is_closed_as_interrupted(path: Path) -> None:
    write(path, request(1, "open"), request(2, "open"), request(1, "close"))
    assert RecordReader(path).verify().unfinished == 1
    with closing(RecordStore(path)) as store:
        assert store.recover(1_767_268_900_000) == 1
        assert store.recover(1_767_268_900_000) == 0
    verdict = RecordReader(path).verify()
    assert (verdict.unfinished, verdict.interrupted, verdict.problem) == (0, 1, None)
    (tally,) = RecordReader(path).usage().values()
    assert (tally.requests, tally.errors) == (2, 1)


def test_recovery_finds_a_request_that_stayed_open_through_thousands(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_store, "_NOTE_EVERY", 8)
    with closing(RecordStore(path)) as store:
        store.append([request(0, "open"), request(0, "close")])
        for number in range(1, 50):
            store.append([request(number, "open"), request(number, "close")])
        store.append([request(1000, "open")])
        for number in range(50, 100):
            store.append([request(number, "open"), request(number, "close")])
    with closing(sqlite3.connect(path)) as database:
        (noted,) = database.execute("SELECT sequence FROM place WHERE name = 'oldest open'").fetchone()
    assert 50 < noted <= 101, "the scan begins near the oldest open request, not at the first record"
    with closing(RecordStore(path)) as store:
        assert store.recover(1) == 1


def test_pruned_chain_verifies_and_tells_what_went(path: Path) -> None:
    write(path, *(request(number) for number in range(100)))
    with closing(RecordStore(path)) as store:
        assert store.prune(1_767_268_800_040, 1_767_268_900_000) == 40
        assert store.prune(1_767_268_800_040, 1_767_268_900_000) == 0
        store.append([request(200)])
        assert store.prune(1_767_268_800_050, 1_767_268_900_000) == 10
    verdict = RecordReader(path).verify()
    assert (verdict.problem, verdict.first, verdict.records) == (None, 51, 53)


def test_record_of_a_clock_that_was_ahead_goes_with_the_old_ones_behind_it(path: Path) -> None:
    ahead = [request(number)._replace(at_ms=9_999_999_999_999) for number in range(3)]
    write(path, request(1), *ahead, *(request(number) for number in range(2, 10)), ahead[0], request(100))
    with closing(RecordStore(path)) as store:
        assert store.prune(1_767_268_800_010, 1_767_268_900_000) == 12
        assert store.prune(1_767_268_800_010, 1_767_268_900_000) == 0
    verdict = RecordReader(path).verify()
    assert (verdict.problem, verdict.first) == (None, 13)
    booked = RecordReader(path).usage()
    assert sum(tally.requests for tally in booked.values()) == 14, "the account of use forgets nothing"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE usage SET output_tokens = 77 WHERE hour > 9999990000")
    assert "account of use" in problem(path), "a record from the future first does not hide it"


def test_record_of_a_clock_that_was_behind_takes_no_newer_one_with_it(path: Path) -> None:
    write(path, *(request(number) for number in range(50, 60)), request(0)._replace(at_ms=0), request(60))
    with closing(RecordStore(path)) as store:
        assert store.prune(1_767_268_800_010, 1_767_268_900_000) == 0


def test_many_records_of_a_clock_that_was_ahead_go_a_part_at_a_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_store, "PRUNE_AT_ONCE", 10)
    ahead = [request(number)._replace(at_ms=9_999_999_999_999) for number in range(25)]
    write(path, *ahead, request(1), request(100))
    with closing(RecordStore(path)) as store:
        gone = [store.prune(1_767_268_800_010, 1_767_268_900_000) for _ in range(4)]
    assert gone == [10, 10, 6, 0]
    assert problem(path) == ""


def test_time_is_the_newest_records_until_one_is_noted(path: Path) -> None:
    with closing(RecordStore(path)) as store:
        assert store.believed_time() is None
        store.append([request(1), request(7)])
        assert store.believed_time() == BelievedTime(1_767_268_800_007)
        store.note_time(BelievedTime(5, 3))
    with closing(RecordStore(path)) as store:
        assert store.believed_time() == BelievedTime(5, 3)


def test_pruned_bytes_are_gone_from_the_file(path: Path) -> None:
    write(path, request(1, app="canary-app"), *(request(number) for number in range(2, 50)))
    with closing(RecordStore(path)) as store:
        assert store.prune(1_767_268_800_010, 1) == 9
        store._database.execute("DELETE FROM usage WHERE app = 'canary-app'")
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"canary-app" not in path.read_bytes()


def test_records_removed_by_hand_are_not_taken_for_retention(path: Path) -> None:
    write(path, *(request(number) for number in range(20)))
    with closing(sqlite3.connect(path)) as database, database:
        (digest,) = database.execute("SELECT hash FROM record WHERE sequence = 10").fetchone()
        database.execute("DELETE FROM record WHERE sequence <= 10")
        database.execute("INSERT INTO place VALUES ('anchor', 10, ?)", (digest,))
    assert "not removed by retention" in problem(path)


@pytest.mark.parametrize(
    ("touch", "said"),
    [
        (
            "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'homework', 'homewurk') AS BLOB) WHERE sequence = 7",
            "record 7 does",
        ),
        ("DELETE FROM record WHERE sequence = 7", "record 7 is missing"),
        ("DELETE FROM record WHERE sequence > 15", "records 16 to 20 are missing: the chain was cut off"),
        (
            (
                "UPDATE record SET sequence = -7 WHERE sequence = 7; UPDATE record SET sequence = 7 WHERE sequence = 8; "
                "UPDATE record SET sequence = 8 WHERE sequence = -7"
            ),
            "record 7 does",
        ),
        ("DELETE FROM record", "records 1 to 20 are missing"),
    ],
)
def test_touched_database_is_found_and_stays_found_when_the_gateway_goes_on(path: Path, touch: str, said: str) -> None:
    write(path, *(request(number) for number in range(20)))
    with closing(sqlite3.connect(path)) as database:
        database.executescript(touch)
    assert said in problem(path)
    write(path, request(100), request(101))
    assert problem(path) != "", "going on must not paper over it"


def test_head_lost_or_put_back_from_an_older_copy_is_told(path: Path) -> None:
    head = path.with_suffix(".head")
    write(path, *(request(number) for number in range(5)))
    older = head.read_bytes()
    write(path, request(6))
    head.write_bytes(older)
    assert RecordReader(path).verify().unsealed == 1
    head.unlink()
    assert "sealed head is missing" in problem(path)
    write(path, request(7))
    assert "missing" in problem(path)


def test_head_noted_elsewhere_shows_an_older_copy_put_back_whole(path: Path) -> None:
    write(path, *(request(number) for number in range(5)))
    database, head = path.read_bytes(), path.with_suffix(".head").read_bytes()
    with closing(RecordStore(path)) as store:
        store.append([request(6), request(7)])
        noted = store.head
    assert RecordReader(path).verify([noted]).problem is None
    path.write_bytes(database)
    path.with_suffix(".head").write_bytes(head)
    assert RecordReader(path).verify().problem is None, "which the box alone cannot know"
    found = RecordReader(path).verify([noted]).problem
    assert found is not None
    assert found.sequence == 6


def test_failed_transaction_leaves_nothing_behind(path: Path) -> None:
    with closing(RecordStore(path)) as store, closing(sqlite3.connect(path)) as other:
        store.append([request(1)])
        pages = other.execute("PRAGMA page_count").fetchone()[0]
        store._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            store.append([request(number, app="x" * 200) for number in range(500)])
        store._database.execute("PRAGMA max_page_count = 1000000")
        store.append([request(2)])
    assert (RecordReader(path).verify().records, problem(path)) == (2, "")


def test_locked_database_is_an_error_within_seconds_and_writes_resume(path: Path) -> None:
    with closing(RecordStore(path)) as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            store.append([request(1)])
        other.rollback()
        store.append([request(1)])
    assert RecordReader(path).verify().records == 1


def test_files_are_not_for_everybody(path: Path) -> None:
    write(path, request(1))
    modes = {file.suffix: stat.S_IMODE(file.stat().st_mode) & 0o077 for file in path.parent.glob("records.*")}
    assert modes[".key"] == 0
    assert all(mode & 0o007 == 0 for mode in modes.values())


def test_commits_sync_the_log(path: Path) -> None:
    with closing(RecordStore(path)) as store:
        assert store._database.execute("PRAGMA synchronous").fetchone() == (2,)
        assert store._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_log_file_stays_small(path: Path) -> None:
    with closing(RecordStore(path)) as store:
        for batch in range(200):
            store.append([request(batch * 100 + number) for number in range(100)])
        assert path.with_name(path.name + "-wal").stat().st_size < 8_000_000
    assert path.stat().st_size > 2_000_000
    assert audit_chain.decode(audit_chain.encode(request(1))) == request(1)
