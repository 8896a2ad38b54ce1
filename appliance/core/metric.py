"""What a metric is: its name and meaning, and a histogram cheap enough for the path of every request.

``prometheus_client`` writes the text; its own counters and histograms cost a
microsecond or more each time they are touched, a list of integers a fifth of
that.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Family:
    """One metric as it is documented and exposed.

    Attributes:
        name: as Prometheus shows it; a counter's ends in ``_total``.
        kind: its type.
        text: what it means, one sentence.
        labels: names of its labels.
        buckets: upper bounds of a histogram, included, rising, without infinity.
    """

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Histogram:
    """Counts by bucket.

    Attributes:
        bounds: upper bounds, included.
        counts: how many fell into each, and last how many lay beyond all.
        total: sum of what was observed.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, int]]:
        """Prometheus's buckets: ``(le, how many up to it)``, the last with ``+Inf``."""
        running = 0
        buckets = []
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            running += count
            buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), running))
        return buckets
