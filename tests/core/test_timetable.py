"""Hours of the day and the week."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.timetable import DAYS, MINUTES_A_DAY, Timetable

MON, SAT, SUN = 0, 5, 6


def at(clock):
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


@pytest.mark.parametrize(
    ("lines", "weekday", "clock", "held"),
    [
        (("08:00-22:00",), SUN, "07:59", False),
        (("08:00-22:00",), SUN, "08:00", True),
        (("08:00-22:00",), SUN, "21:59", True),
        (("08:00-22:00",), SUN, "22:00", False),
        (("mon-fri 08:00-22:00",), SAT, "12:00", False),
        (("mon-fri 08:00-22:00", "sat 10:00-14:00"), SAT, "12:00", True),
        (("Sat-Mon 9:00-10:00",), MON, "09:30", True),
        (("sun 18:00-02:00",), MON, "01:59", True),
        (("sun 18:00-02:00",), MON, "02:00", False),
        (("sun 18:00-02:00",), SUN, "01:00", False),
        (("00:00-24:00",), MON, "23:59", True),
        ((), MON, "12:00", False),
    ],
)
def test_minute_is_within_the_hours_that_hold_it(lines, weekday, clock, held):
    assert Timetable.parse(lines).holds(weekday, at(clock)) is held


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8-22",
        "08:00",
        "08:00-25:00",
        "08:60-09:00",
        "08:00-08:00",
        "24:00-02:00",
        "mo 08:00-22:00",
        "x-y 1:00-2:00",
    ],
)
def test_line_that_is_not_of_the_form_is_refused(text):
    with pytest.raises(ValueError, match=r"is not|is no|names no"):
        Timetable.parse([text])


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(DAYS), st.integers(0, 1439), st.integers(1, 1440))
def test_span_holds_exactly_its_own_minutes_of_the_week(day, start, end):
    if start == end:
        return
    line = f"{day} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    table = Timetable.parse([line])
    held = sum(table.holds(weekday, minute) for weekday in range(7) for minute in range(MINUTES_A_DAY))
    assert held == (end - start) % MINUTES_A_DAY or (held, end - start) == (MINUTES_A_DAY, MINUTES_A_DAY)
