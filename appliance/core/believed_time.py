"""What time it probably is, where the clock may be wrong: retention must not trust a clock that jumped.

An empty battery, a wrong time server or a typing error can set a box's clock a
year ahead, and what is removed by such a clock is gone. So a clock is believed
only while it is within :data:`SLACK_MS` of the time last believed plus the time
the box has run since. One that is further away is believed after it has run
for :data:`PROBATION_MS`, restarts included: a box that stood switched off for
fourteen months removes again a month after its return.
"""

from __future__ import annotations

from dataclasses import dataclass

_DAY_MS = 86_400_000
#: A box switched off for a school holiday is nothing unusual.
SLACK_MS = 45 * _DAY_MS
#: How long a clock that jumped must run until it is believed; an operator has that long to set it right.
PROBATION_MS = 30 * _DAY_MS


@dataclass(frozen=True, slots=True)
class BelievedTime:
    """What is known about the time.

    Args:
        at_ms: the time believed, Unix milliseconds.
        doubted_ms: how long the box has run at a clock that is not believed; 0 while it is.
    """

    at_ms: int
    doubted_ms: int = 0

    def seen(self, clock_ms: int, elapsed_ms: int) -> BelievedTime:
        """What is known after a look at the clock.

        Args:
            clock_ms: what it says, Unix milliseconds.
            elapsed_ms: how long the box has run since the last look, by a clock that nobody can set.
        """
        at_ms, doubted_ms = self.at_ms + elapsed_ms, self.doubted_ms + elapsed_ms
        if abs(clock_ms - at_ms) <= SLACK_MS:
            return BelievedTime(max(self.at_ms, clock_ms))
        if doubted_ms >= PROBATION_MS and self.doubted_ms:
            return BelievedTime(clock_ms)
        # The first look at a clock that jumped: it may have done so just now.
        return BelievedTime(at_ms, doubted_ms if self.doubted_ms else 1)

    def is_ahead(self, clock_ms: int) -> bool:
        """Whether the clock is too far ahead to remove anything by it."""
        return clock_ms - self.at_ms > SLACK_MS
