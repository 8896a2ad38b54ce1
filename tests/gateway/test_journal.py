"""Many requests share a commit; what cannot be written is told, kept or refused."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.core import audit_chain
from appliance.core.audit_chain import Record
from appliance.errors import AuditUnavailable
from appliance.gateway import journal as module
from appliance.gateway.journal import Journal
from appliance.gateway.record_reader import RecordReader
from appliance.gateway.record_store import RecordStore

pytestmark = pytest.mark.anyio
DAY = 86_400


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr("appliance.gateway.record_store._BUSY_TIMEOUT_SECONDS", 0.05)


@pytest.fixture
def path(state_dir: Path) -> Path:
    return state_dir / "records.sqlite3"


@asynccontextmanager
async def running(
    path: Path, *, required: bool = True, retention_days: int = 365, now: float | None = None
) -> AsyncIterator[Journal]:
    clock = time.time if now is None else lambda: now
    journal = Journal(path, required=required, retention_days=retention_days, clock=clock)
    journal.start()
    try:
        yield journal
    finally:
        await journal.close()


def request(number: int, kind: str = "open") -> Record:
    return Record(kind, 1_767_268_800_000, f"req-{number}", app="homework", method="POST")


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def records(path: Path) -> list[Record]:
    with closing(sqlite3.connect(path)) as database:
        return [audit_chain.decode(body) for (body,) in database.execute("SELECT body FROM record ORDER BY sequence")]


async def test_many_requests_share_few_commits(path: Path) -> None:
    async with running(path) as journal:

        async def one(number: int) -> None:
            await journal.durable(journal.append(request(number)))
            journal.append(request(number, "close"), urgent=False)

        await asyncio.gather(*(one(number) for number in range(1000)))
        assert journal.commits < 50
    verdict = RecordReader(path).verify()
    assert (verdict.problem, verdict.requests, verdict.unfinished) == (None, 1000, 0)
    assert [record.route for record in records(path) if record.kind == "event"] == [
        "gateway started",
        "gateway stopped",
    ]


async def test_durable_means_that_another_process_sees_it(path: Path) -> None:
    async with running(path) as journal:
        await journal.durable(journal.append(request(7)))
        assert request(7) in records(path)


async def test_record_that_nobody_waits_for_is_written_by_itself(path: Path) -> None:
    async with running(path) as journal:
        await journal.durable(journal.append(request(1)))
        batch = journal.append(request(1, "close"), urgent=False)
        await until(lambda: batch.done)
        assert request(1, "close") in records(path)


async def test_cancelled_waiter_does_not_take_the_others_with_it(path: Path) -> None:
    async with running(path) as journal:
        batch = journal.append(request(1))
        first, second = (asyncio.create_task(journal.durable(batch)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert first.cancelled() or first.done()


async def test_locked_database_refuses_what_is_required_and_service_resumes(path: Path) -> None:
    async with running(path) as journal:
        await journal.durable(journal.append(request(1)))
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(AuditUnavailable):
                await journal.durable(journal.append(request(2)))
            with pytest.raises(AuditUnavailable):
                journal.check()
            journal.append(request(1, "close"), urgent=False)
            other.rollback()
        await until(lambda: journal.is_writable)
        journal.check()
        await journal.durable(journal.append(request(3)))
    written = records(path)
    assert request(1, "close") in written, "an answered request's end is kept until it can be written"
    assert request(2) not in written
    (note,) = [record for record in written if record.route == "audit resumed"]
    assert note.times == 2, "one request was refused by its record, one by the check"
    assert RecordReader(path).verify().problem is None


async def test_locked_database_lets_requests_pass_where_the_audit_is_not_required(path: Path) -> None:
    async with running(path, required=False) as journal:
        await journal.durable(journal.append(request(1)))
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in (2, 3):
                await journal.durable(journal.append(request(number)))
                journal.check()
            await until(lambda: not journal.is_writable)
            other.rollback()
        await until(lambda: journal.is_writable)
    assert {request(2), request(3)} <= set(records(path)), "what memory holds is written later"


async def test_stop_writes_what_was_kept_if_it_can(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 60)
    async with running(path, required=False) as journal:
        await journal.durable(journal.append(request(1)))
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            await journal.durable(journal.append(request(2)))
            await until(lambda: not journal.is_writable)
            other.rollback()
    assert request(2) in records(path)
    assert records(path)[-2].route == "gateway stopped"


async def test_more_than_memory_may_hold_is_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    async with running(path, required=False) as journal:
        await journal.durable(journal.append(request(0)))
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            await journal.durable(journal.append(request(1)))
            await until(lambda: not journal.is_writable)
            for number in range(2, 10):
                journal.append(request(number))
            other.rollback()
        await until(lambda: journal.is_writable)
    assert sum(record.times for record in records(path) if record.route == "audit resumed") == 6


async def test_full_disk_is_refused_and_leaves_the_chain_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with running(path) as journal:
        await journal.durable(journal.append(request(1)))
        with monkeypatch.context() as patch:
            patch.setattr("appliance.gateway.record_store.RecordStore._append", full)
            with pytest.raises(AuditUnavailable):
                await journal.durable(journal.append(request(2)))
        await until(lambda: journal.is_writable)
        await journal.durable(journal.append(request(3)))
    assert RecordReader(path).verify().problem is None


async def test_database_removed_under_a_running_gateway_is_noticed(path: Path) -> None:
    async with running(path) as journal:
        await journal.durable(journal.append(request(1)))
        for file in path.parent.glob("records.sqlite3*"):
            file.unlink()
        with pytest.raises(AuditUnavailable):
            await journal.durable(journal.append(request(2)))
        await until(lambda: journal.is_writable)
        await journal.durable(journal.append(request(3)))
    assert request(3) in records(path)
    found = RecordReader(path).verify().problem
    assert found is not None
    assert "missing" in found.message, "the new file does not hide that the old one is gone"


async def test_hanging_disk_refuses_within_the_time_and_comes_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    real = RecordStore.append

    async with running(path) as journal:
        await journal.durable(journal.append(request(1)))
        monkeypatch.setattr(module, "COMMIT_TIMEOUT_SECONDS", 0.05)

        def hang(store: object, batch: object) -> None:
            hangs.wait(10)
            real(store, batch)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr("appliance.gateway.record_store.RecordStore.append", hang)
            with pytest.raises(AuditUnavailable):
                await journal.durable(journal.append(request(2)))
            hangs.set()
            await until(lambda: journal.is_writable)
        monkeypatch.setattr(module, "COMMIT_TIMEOUT_SECONDS", 10.0)
        await journal.durable(journal.append(request(3)))


async def test_log_in_and_refused_log_in_are_events(path: Path) -> None:
    async with running(path) as journal:
        journal.event("log-in", who="admin", address="10.0.0.5")
        await journal.durable(journal.event("log-in", who="mallory", address="10.0.0.6", outcome="refused"))
    events = [(r.route, r.app, r.address, r.outcome) for r in records(path) if r.route == "log-in"]
    assert events == [("log-in", "admin", "10.0.0.5", "done"), ("log-in", "mallory", "10.0.0.6", "refused")]


async def test_old_records_go_by_themselves_and_the_chain_verifies(path: Path) -> None:
    ago = time.time() - 3 * DAY
    old = request(1)._replace(at_ms=int(ago * 1000))
    async with running(path, now=ago) as journal:
        await journal.durable(journal.append(old))
    async with running(path, retention_days=1) as journal:
        await journal.durable(journal.append(request(2, "whole")))
        await until(lambda: old not in records(path))
    assert RecordReader(path).verify().problem is None


async def upkeep_done(journal: Journal) -> None:
    """The thread looks after old records behind each commit: what the second commit ends, the first has seen."""
    for number in (1000, 1001):
        await journal.durable(journal.append(request(number, "whole")))


async def test_start_with_a_clock_a_year_ahead_removes_nothing_and_says_so(path: Path) -> None:
    now = time.time()
    kept = request(1, "whole")._replace(at_ms=int(now * 1000))
    async with running(path, now=now) as journal:
        await journal.durable(journal.append(kept))
    for _ in range(3):  # the first start's own records must not vouch for the second
        with capture_logs() as lines:
            async with running(path, now=now + 400 * DAY) as journal:
                await upkeep_done(journal)
        (told,) = [line for line in lines if "clock is ahead" in line["event"]]
        assert "Set the clock" in told["remedy"]
    assert kept in records(path)
    assert RecordReader(path).verify().problem is None


async def test_start_after_a_holiday_removes_what_is_old(path: Path) -> None:
    now = time.time()
    old = request(1, "whole")._replace(at_ms=int(now * 1000))
    async with running(path, now=now) as journal:
        await journal.durable(journal.append(old))
    async with running(path, now=now + 40 * DAY, retention_days=30) as journal:
        await upkeep_done(journal)
    assert old not in records(path)


async def test_clock_that_jumps_while_the_gateway_runs_removes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UPKEEP_SECONDS", 0)
    now = [time.time()]
    kept = request(1, "whole")._replace(at_ms=int(now[0] * 1000))
    journal = Journal(path, required=True, retention_days=365, clock=lambda: now[0])
    journal.start()
    await journal.durable(journal.append(kept))
    await upkeep_done(journal)
    now[0] += 400 * DAY
    await upkeep_done(journal)
    await journal.close()
    assert kept in records(path)


async def test_box_that_stood_off_for_fourteen_months_removes_again_in_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    old = request(1, "whole")._replace(at_ms=int(now * 1000))
    async with running(path, now=now) as journal:
        await journal.durable(journal.append(old))
    async with running(path, now=now + 425 * DAY) as journal:
        await upkeep_done(journal)
    assert old in records(path)
    monkeypatch.setattr("appliance.core.believed_time.PROBATION_MS", 1)
    async with running(path, now=now + 426 * DAY) as journal:
        await upkeep_done(journal)
    assert old not in records(path)
    assert RecordReader(path).verify().problem is None
