"""The hours in which people work with the apps, so that batches know when to stand back.

Written as ``08:00-22:00`` (every day) or ``mon-fri 08:00-22:00``; an end before
the beginning runs over midnight and belongs to the day it began on. Times are
local ones, and like every time in this package they are passed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
_FORM = re.compile(r"(?:([a-z]{3})(?:-([a-z]{3}))? +)?(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Hours:
    """One line of a timetable.

    Attributes:
        days: weekdays on which it begins, 0 for Monday.
        start_minute: minutes after midnight, included.
        end_minute: minutes after midnight, excluded; up to a day later.
    """

    days: frozenset[int]
    start_minute: int
    end_minute: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one line.

        Raises:
            ValueError: it does not have the form, or names no day or time of day.
        """
        match = _FORM.fullmatch(text.strip().lower())
        if match is None:
            raise ValueError(f"{text!r} is not of the form `08:00-22:00` or `mon-fri 08:00-22:00`")
        first, last, *clock = match.groups()
        start = _minute(text, clock[0], clock[1])
        end = _minute(text, clock[2], clock[3])
        if start in (MINUTES_A_DAY, end):
            raise ValueError(f"{text!r} is no span of time; the whole day is 00:00-24:00")
        return cls(_days(text, first, last), start, end if end > start else end + MINUTES_A_DAY)

    def holds(self, weekday: int, minute: int) -> bool:
        """Whether this minute of the week is within."""
        return (weekday in self.days and self.start_minute <= minute < self.end_minute) or (
            (weekday - 1) % 7 in self.days and minute + MINUTES_A_DAY < self.end_minute
        )


@dataclass(frozen=True, slots=True)
class Timetable:
    """All lines together; without any, no hour is held."""

    hours: tuple[Hours, ...]

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Self:
        """Read the lines; raises ValueError for the first that cannot be read."""
        return cls(tuple(Hours.parse(line) for line in lines))

    def holds(self, weekday: int, minute: int) -> bool:
        """Whether this minute of the week is within any line (weekday 0 is Monday)."""
        return any(hours.holds(weekday, minute) for hours in self.hours)


def _minute(text: str, hour: str, minute: str) -> int:
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > MINUTES_A_DAY:
        raise ValueError(f"{text!r} names no time of day")
    return total


def _days(text: str, first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    names = (first, last or first)
    if any(name not in DAYS for name in names):
        raise ValueError(f"{text!r} names no weekday; they are {', '.join(DAYS)}")
    begin, end = (DAYS.index(name) for name in names)
    return frozenset((begin + step) % 7 for step in range((end - begin) % 7 + 1))
