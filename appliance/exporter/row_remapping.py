"""Rows of memory that were replaced by spare ones (Ampere and later; older cards retire pages)."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

ROWS = Family(
    "appliance_gpu_remapped_rows_total",
    "counter",
    "Rows replaced by spare ones, by the errors that led to it.",
    ("gpu", "cause"),
)
PENDING = Family("appliance_gpu_row_remap_pending", "gauge", "1 if a row is replaced at the next reset of the card.")
FAILED = Family(
    "appliance_gpu_row_remap_failed", "gauge", "1 if a row could not be replaced: the card is to be exchanged."
)
BANKS = Family(
    "appliance_gpu_row_remap_banks",
    "gauge",
    "Memory banks by how many spare rows they have left.",
    ("gpu", "spare_rows"),
)
_SPARE_ROWS = ("max", "high", "partial", "low", "none")


class RowRemapping:
    """Absent on cards that do not remap rows."""

    name = "row_remapping"
    families = (ROWS, PENDING, FAILED, BANKS)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """Counts, what waits for a reset, and what is left."""
        rows = gpu.ask("nvmlDeviceGetRemappedRows")
        if rows is not None:
            corrected, uncorrected, pending, failed = rows
            yield from ROWS.of(corrected, gpu.label, "corrected")
            yield from ROWS.of(uncorrected, gpu.label, "uncorrected")
            yield from PENDING.of(pending, gpu.label)
            yield from FAILED.of(failed, gpu.label)
        histogram = gpu.ask("nvmlDeviceGetRowRemapperHistogram")
        if histogram is not None:
            for spare_rows in _SPARE_ROWS:
                yield from BANKS.of(getattr(histogram, spare_rows), gpu.label, spare_rows)
