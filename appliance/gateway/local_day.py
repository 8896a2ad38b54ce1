"""The box's local calendar day, for quotas that end at midnight."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date

from appliance.core.limits import Today


class LocalDay:
    """Says which day it is. The calendar is looked up once a day, or when the clock was set.

    Args:
        clock: Unix seconds.
    """

    __slots__ = ("_clock", "_day", "_end", "_start", "_today", "_until")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._day = 0
        self._start = self._end = self._until = 0.0
        self._today = Today(0, 0.0)

    def __call__(self) -> Today:
        """Today, and what is left of it; days are 23 or 25 hours long where the clock is put forward or back."""
        now = self._clock()
        # Asked some times a request: what is left of the day is told to the second.
        if self._until - 1.0 <= now < self._until:
            return self._today
        if not self._start <= now < self._end:
            at = time.localtime(now)
            self._day = date(at.tm_year, at.tm_mon, at.tm_mday).toordinal()
            # mktime carries the 32nd of a month over, and -1 lets it find out about summer time.
            self._start = time.mktime((at.tm_year, at.tm_mon, at.tm_mday, 0, 0, 0, 0, 0, -1))
            self._end = time.mktime((at.tm_year, at.tm_mon, at.tm_mday + 1, 0, 0, 0, 0, 0, -1))
        self._today = Today(self._day, self._end - now)
        self._until = min(now + 1.0, self._end)
        return self._today
