"""How long to wait before the next restart: doubling, capped, forgotten after a good run."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Backoff:
    """The wait before a restart, as a value.

    Args:
        first_seconds: wait after the first failure in a row.
        max_seconds: the wait never exceeds this.
        failures: failures in a row so far.
    """

    first_seconds: float
    max_seconds: float
    failures: int = 0

    @property
    def delay_seconds(self) -> float:
        """Wait before the next start: 0 without a failure, then first, twice, four times … up to the cap."""
        if self.failures == 0:
            return 0.0
        # Past 2**64 the cap has long been reached; a bounded exponent keeps the float finite.
        return min(self.max_seconds, self.first_seconds * 2.0 ** min(self.failures - 1, 64))

    def after_failure(self, served_seconds: float) -> Backoff:
        """The backoff after one more failure.

        Args:
            served_seconds: how long the run generated tokens before it failed, 0 if it never did.
                A run that served longer than the longest wait was a good one: counting starts anew,
                so a box that fails once a month is back at once each time.
        """
        before = 0 if served_seconds > self.max_seconds else self.failures
        return replace(self, failures=before + 1)
