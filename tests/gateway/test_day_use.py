"""Claims about ``gateway.day_use``."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.gateway.day_use import KEPT_DAYS, DayUse

TODAY = 739_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.sqlite3"


def test_what_was_noted_last_is_read_back(path: Path) -> None:
    use = DayUse(path)
    use.note("a", TODAY, 5)
    use.note("b", TODAY, 7)
    use.flush()
    use.note("a", TODAY, 3)  # a reservation was given back
    use.note("a", TODAY - 1, 99)
    use.flush()
    assert DayUse(path).load(TODAY) == {"a": {TODAY - 1: 99, TODAY: 3}, "b": {TODAY: 7}}


def test_nothing_is_written_without_limited_use(path: Path) -> None:
    use = DayUse(path)
    assert use.load(TODAY) == {}
    use.flush()
    assert not path.exists()


def test_old_days_are_forgotten(path: Path) -> None:
    use = DayUse(path)
    for age in range(KEPT_DAYS + 3):
        use.note("a", TODAY - age, 5 + age)
    use.flush()
    assert min(use.load(TODAY)["a"]) == TODAY - KEPT_DAYS
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM day_use").fetchone() == (KEPT_DAYS + 1,)


@pytest.mark.parametrize("ahead", [KEPT_DAYS + 1, 400])
def test_clock_that_jumps_ahead_and_back_gives_nobody_a_second_quota(path: Path, ahead: int) -> None:
    use = DayUse(path)
    use.note("a", TODAY, 900)
    use.note("b", TODAY - 1, 7)
    use.flush()
    use.load(TODAY + ahead)
    use.note("b", TODAY + ahead, 1)
    use.flush()
    use.load(TODAY + ahead)
    assert use.load(TODAY) == {"a": {TODAY: 900}, "b": {TODAY - 1: 7, TODAY + ahead: 1}}


def test_failed_write_is_kept_said_once_and_done_later(path: Path) -> None:
    use = DayUse(path)
    path.mkdir()
    with capture_logs() as lines:
        for tokens in (1, 2, 3):
            use.note("a", TODAY, tokens)
            use.flush()
    assert [line["log_level"] for line in lines] == ["error"]
    path.rmdir()
    use.flush()
    assert use.load(TODAY) == {"a": {TODAY: 3}}


def test_damaged_file_stops_nothing(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)
    with capture_logs() as lines:
        assert DayUse(path).load(TODAY) == {}
    assert len(lines) == 1
