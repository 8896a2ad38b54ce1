"""Errors in the card's memory that ECC corrected, and those it could only report."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

MODE = Family(
    "appliance_gpu_ecc_mode_enabled", "gauge", "1 if ECC is on: now, and after the next reboot.", ("gpu", "state")
)
ERRORS = Family(
    "appliance_gpu_ecc_errors_total",
    "counter",
    "Memory errors: volatile since the driver was loaded, aggregate over the card's life.",
    ("gpu", "kind", "lifetime"),
)
_KINDS = {"corrected": 0, "uncorrected": 1}
_LIFETIMES = {"volatile": 0, "aggregate": 1}


class Ecc:
    """Absent on cards without ECC, and while it is off."""

    name = "ecc"
    families = (MODE, ERRORS)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """The mode and the four totals."""
        current, pending = gpu.settled("nvmlDeviceGetEccMode") or (None, None)
        yield from MODE.of(current, gpu.label, "current")
        yield from MODE.of(pending, gpu.label, "pending")
        for kind, kind_number in _KINDS.items():
            for lifetime, lifetime_number in _LIFETIMES.items():
                count = gpu.ask("nvmlDeviceGetTotalEccErrors", kind_number, lifetime_number)
                yield from ERRORS.of(count, gpu.label, kind, lifetime)
