"""What a collector is. One subsystem a file, after node_exporter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu


class Collector(Protocol):
    """Reads one subsystem of a card."""

    @property
    def name(self) -> str:
        """Value of the label ``collector``."""
        ...

    @property
    def families(self) -> tuple[Family, ...]:
        """Everything it may yield."""
        ...

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """Yield what the card has; what is yielded before a failure is kept.

        Raises:
            GpuDown: the card is gone; the rest of its collectors are left out.
            NvmlFailed: this subsystem could not be read.
        """
        ...


class SlowCollector(Collector, Protocol):
    """One whose calls take too long for a scrape: it measures after one and shows that in the next."""

    def measure(self, gpu: Gpu) -> None:
        """Make the slow calls; raises as ``collect`` does."""
        ...

    def forget(self) -> None:
        """Drop what was measured: the cards are not what they were."""
        ...
