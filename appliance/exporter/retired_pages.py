"""Pages of memory that are no longer used, on cards before Ampere."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

PAGES = Family(
    "appliance_gpu_retired_pages_total",
    "counter",
    "Pages taken out of use, by the errors that led to it: several single-bit ones, or one double-bit.",
    ("gpu", "cause"),
)
PENDING = Family("appliance_gpu_retired_pages_pending", "gauge", "1 if pages are taken out of use at the next reset.")
_CAUSES = {"single_bit": "NVML_FI_DEV_RETIRED_SBE", "double_bit": "NVML_FI_DEV_RETIRED_DBE"}
_PENDING = "NVML_FI_DEV_RETIRED_PENDING"


class RetiredPages:
    """Absent on cards that remap rows instead."""

    name = "retired_pages"
    families = (PAGES, PENDING)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """Counts, and what waits for a reset."""
        counts = gpu.fields(*_CAUSES.values(), _PENDING)
        for cause, field in _CAUSES.items():
            yield from PAGES.of(counts.get(field), gpu.label, cause)
        yield from PENDING.of(counts.get(_PENDING), gpu.label)
