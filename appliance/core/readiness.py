"""Whether the engine really generates: judged by tokens that came, never by a status page.

A hung vLLM goes on answering 200 on ``/health``; only a generation proves life.
"""

from __future__ import annotations


class Readiness:
    """Ready for a window of time after the last proof of a real generation.

    Times are seconds of one monotonic clock, passed in.

    Args:
        window_seconds: how long one proof lasts.
    """

    __slots__ = ("_last_proof", "window_seconds")

    def __init__(self, window_seconds: float) -> None:
        self.window_seconds = window_seconds
        self._last_proof: float | None = None

    def generated(self, now: float) -> None:
        """A token came from the engine."""
        self._last_proof = now

    def lost(self) -> None:
        """The engine is known to be gone; earlier proof counts no more."""
        self._last_proof = None

    def is_ready(self, now: float) -> bool:
        """Whether the last proof is recent enough to promise an answer."""
        return self._last_proof is not None and now - self._last_proof <= self.window_seconds

    def probe_due(self, now: float, interval_seconds: float) -> bool:
        """Whether traffic has given no proof for an interval, so that one must be asked for."""
        return self._last_proof is None or now - self._last_proof >= interval_seconds
