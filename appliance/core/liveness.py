"""Is the engine starting, serving, hung or dead? A decision from what was seen, and when.

vLLM's own ``/health`` says 200 while its core hangs (vLLM issues 39863, 46811),
so the evidence here is generated tokens: a probe's single token, or token
counters that move. A saturated engine answers a probe late, but its counters
move; a hung one does neither. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Phase(StrEnum):
    """Where one run of the engine stands."""

    STARTING = "starting"
    SERVING = "serving"
    HUNG = "hung"
    DEAD = "dead"
    START_TIMED_OUT = "start_timed_out"

    @property
    def is_over(self) -> bool:
        """Whether this run must be ended."""
        return self in (Phase.HUNG, Phase.DEAD, Phase.START_TIMED_OUT)


@dataclass(frozen=True)
class Limits:
    """The longest waits.

    Args:
        startup_seconds: from start to the first generated token.
        probe_seconds: for a probe's token while the counters stand still.
    """

    startup_seconds: float
    probe_seconds: float


@dataclass(frozen=True)
class Liveness:
    """What was seen of one run of the engine so far.

    Args:
        started_at: when the process was started.
        first_token_at: when a probe first succeeded.
        alive_at: last proof of life: a probe's token, or counters that moved.
        asking_since: start of the oldest probe since the last one that succeeded.
        counters: the last sample of the engine's counters in this wait, to compare the next with.
        exited: whether the process has ended.
    """

    started_at: float
    first_token_at: float | None = None
    alive_at: float | None = None
    asking_since: float | None = None
    counters: tuple[float, ...] | None = None
    exited: bool = False

    def probe_started(self, now: float) -> Liveness:
        """A probe was sent; failed ones before it keep the wait running."""
        return self if self.asking_since is not None else replace(self, asking_since=now, counters=None)

    def probe_succeeded(self, now: float) -> Liveness:
        """A probe's token arrived."""
        return replace(
            self,
            first_token_at=now if self.first_token_at is None else self.first_token_at,
            alive_at=now,
            asking_since=None,
            counters=None,
        )

    def sampled(self, now: float, counters: tuple[float, ...]) -> Liveness:
        """The engine's counters were read while a probe waits.

        The first sample of a wait is only the base line: what moved before it
        says nothing about now.
        """
        if self.asking_since is None:
            return self
        moved = self.counters is not None and counters != self.counters
        return replace(self, counters=counters, alive_at=now if moved else self.alive_at)

    def ended(self) -> Liveness:
        """The process is gone, whatever its exit status: vLLM may exit 0 on an unexpected death."""
        return replace(self, exited=True)

    def phase(self, now: float, limits: Limits) -> Phase:
        """The verdict at ``now``."""
        if self.exited:
            return Phase.DEAD
        if self.first_token_at is None or self.alive_at is None:
            late = now - self.started_at >= limits.startup_seconds
            return Phase.START_TIMED_OUT if late else Phase.STARTING
        if self.asking_since is None:
            return Phase.SERVING
        silent_seconds = now - max(self.asking_since, self.alive_at)
        return Phase.HUNG if silent_seconds >= limits.probe_seconds else Phase.SERVING

    def served_seconds(self, now: float) -> float:
        """How long this run has generated tokens; 0 if it never did."""
        return 0.0 if self.first_token_at is None else max(0.0, now - self.first_token_at)
