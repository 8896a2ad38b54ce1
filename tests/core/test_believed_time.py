"""Claims about ``core.believed_time``: a clock that jumped is believed late, and in the end."""

from __future__ import annotations

import pytest

from appliance.core.believed_time import PROBATION_MS, SLACK_MS, BelievedTime

NOW = 1_767_268_800_000
HOUR = 3_600_000
DAY = 24 * HOUR


def run(time: BelievedTime, clock_ms: int, spent_ms: int, *, starts: int = 1) -> BelievedTime:
    """An hour at a time at a clock that goes on from ``clock_ms``; each start's first look has no time behind it."""
    for _ in range(starts):
        time = time.seen(clock_ms, 0)
        for _ in range(spent_ms // starts // HOUR):
            clock_ms += HOUR
            time = time.seen(clock_ms, HOUR)
    return time


@pytest.mark.parametrize("off_ms", [0, HOUR, SLACK_MS])
def test_box_that_was_off_over_a_holiday_is_believed_at_once(off_ms: int) -> None:
    time = BelievedTime(NOW).seen(NOW + off_ms, 0)
    assert time == BelievedTime(NOW + off_ms)
    assert not time.is_ahead(NOW + off_ms)


def test_box_that_ran_idle_for_a_year_is_believed() -> None:
    assert BelievedTime(NOW).seen(NOW + 365 * DAY, 365 * DAY) == BelievedTime(NOW + 365 * DAY)


def test_clock_that_jumped_is_not_believed_however_often_the_box_starts() -> None:
    ahead = NOW + 400 * DAY
    time = run(BelievedTime(NOW), ahead, 0, starts=1000)
    assert time.is_ahead(ahead)
    assert run(time, ahead, PROBATION_MS - 2 * DAY, starts=10).is_ahead(ahead + PROBATION_MS)


@pytest.mark.parametrize("starts", [1, 60])
def test_box_that_stood_off_for_fourteen_months_is_believed_in_the_end(starts: int) -> None:
    back = NOW + 425 * DAY
    time = run(BelievedTime(NOW), back, PROBATION_MS + DAY, starts=starts)
    assert not time.is_ahead(back + PROBATION_MS + DAY)
    assert time.doubted_ms == 0


def test_clock_that_was_set_right_has_to_prove_itself_anew_when_it_jumps_again() -> None:
    ahead = NOW + 400 * DAY
    time = run(BelievedTime(NOW), ahead, PROBATION_MS - 2 * DAY)
    time = time.seen(NOW + PROBATION_MS, HOUR)
    assert time.doubted_ms == 0
    assert run(time, ahead, 5 * DAY).is_ahead(ahead)


def test_clock_that_is_behind_for_a_while_changes_nothing() -> None:
    time = run(BelievedTime(NOW), 0, DAY)
    assert not time.is_ahead(DAY)
    assert time.seen(NOW + DAY, 0) == BelievedTime(NOW + DAY)


def test_first_look_at_a_clock_that_jumped_after_a_long_idle_run_proves_nothing() -> None:
    time = BelievedTime(NOW).seen(NOW + 500 * DAY, 2 * PROBATION_MS)
    assert time.is_ahead(NOW + 500 * DAY)
