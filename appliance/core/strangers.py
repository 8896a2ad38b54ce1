"""Refused requests without a key: each is recorded up to a rate, beyond it only counted.

Whoever can reach the port could otherwise fill the disk with records of
refusals. Of each address the first few in a minute are recorded one by one,
the rest as one record that says how many of which kind there were.
"""

from __future__ import annotations

from appliance.core.audit_chain import Record

WINDOW_MS = 60_000
#: Refusals of one address that are recorded one by one in a window.
SINGLE = 20
#: Addresses told apart in a window; further ones share a count.
MAX_ADDRESSES = 256
OTHERS = "(others)"


class Strangers:
    """Decides what of the strangers is recorded. One window for all: it starts with the first refusal."""

    def __init__(self) -> None:
        self._until_ms = 0
        self._seen: dict[str, int] = {}
        self._counted: dict[tuple[str, str], Record] = {}

    @property
    def has_any(self) -> bool:
        """Whether there is anything to flush, sooner or later."""
        return bool(self._seen)

    def admit(self, record: Record) -> bool:
        """Whether to record this refusal by itself; else it was counted."""
        if not self._seen:
            self._until_ms = record.at_ms + WINDOW_MS
        address = record.address
        if address not in self._seen and len(self._seen) >= MAX_ADDRESSES:
            address = OTHERS
        self._seen[address] = self._seen.get(address, 0) + 1
        if self._seen[address] <= SINGLE:
            return True
        place = (address, record.error)
        before = self._counted.get(place)
        self._counted[place] = record._replace(address=address, times=before.times + 1 if before else 1)
        return False

    def flush(self, now_seconds: float) -> list[Record]:
        """The counts of a window that is over, once.

        Args:
            now_seconds: Unix seconds.
        """
        if not self._seen or now_seconds * 1000 < self._until_ms:
            return []
        due = list(self._counted.values())
        self._seen.clear()
        self._counted.clear()
        return due
