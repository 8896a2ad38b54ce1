"""Amounts booked over the last minute: a sliding window that no burst can pass.

A token bucket lets twice its size through within a minute (a full bucket, and
what refills meanwhile); this window holds in every minute there is. Memory is
bounded whatever the rate: what is booked within a tenth of a second shares an
entry, and an entry counts until the youngest of it is a minute old.
"""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 60.0
#: What is booked within this time shares an entry; the window is at most this much longer than a minute.
GRAIN_SECONDS = 0.1


class Entry:
    """What was booked within one grain.

    Attributes:
        amount: units booked.
        ends_at: a grain and a window after the first booking: then it counts no more.
        is_live: whether it still counts.
    """

    __slots__ = ("amount", "ends_at", "is_live")

    def __init__(self, opened_at: float) -> None:
        self.amount = 0
        self.ends_at = opened_at + GRAIN_SECONDS + WINDOW_SECONDS
        self.is_live = True


class Window:
    """A minute's bookings. Times are monotonic seconds, passed in and never going back.

    Attributes:
        total: units booked within the last minute, as of the last :meth:`expire`.
    """

    __slots__ = ("_entries", "total")

    def __init__(self) -> None:
        self.total = 0
        self._entries: deque[Entry] = deque()

    def expire(self, now: float) -> None:
        """Forget what is older than the window."""
        entries = self._entries
        while entries and now >= entries[0].ends_at:
            entry = entries.popleft()
            entry.is_live = False
            self.total -= entry.amount

    def book(self, amount: int, now: float) -> Entry:
        """Book units at ``now`` and return the entry that holds them."""
        if not self._entries or now >= self._entries[-1].ends_at - WINDOW_SECONDS:
            self._entries.append(Entry(now))
        entry = self._entries[-1]
        entry.amount += amount
        self.total += amount
        return entry

    def give_back(self, entry: Entry, amount: int) -> None:
        """Take booked units back; those that count no more are left as they are."""
        if entry.is_live:
            entry.amount -= amount
            self.total -= amount

    def wait_seconds(self, amount: int, now: float) -> float:
        """How long until ``amount`` of the booked units count no more; 0 if that many are not booked."""
        freed = 0
        for entry in self._entries:
            freed += entry.amount
            if freed >= amount:
                return entry.ends_at - now
        return 0.0

    def reset_seconds(self, now: float) -> float:
        """How long until nothing counts any more."""
        for entry in reversed(self._entries):
            if entry.amount:
                return entry.ends_at - now
        return 0.0
