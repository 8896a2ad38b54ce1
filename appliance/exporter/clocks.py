"""Clock frequencies and the highest the card can run at."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

CLOCK = Family("appliance_gpu_clock_hertz", "gauge", "Frequency of a clock now.", ("gpu", "clock"))
CLOCK_MAX = Family("appliance_gpu_clock_max_hertz", "gauge", "Highest frequency of a clock.", ("gpu", "clock"))
CLOCKS = {
    "graphics": "NVML_CLOCK_GRAPHICS",
    "sm": "NVML_CLOCK_SM",
    "memory": "NVML_CLOCK_MEM",
    "video": "NVML_CLOCK_VIDEO",
}


class Clocks:
    """Hertz, from NVML's megahertz."""

    name = "clocks"
    families = (CLOCK, CLOCK_MAX)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """Each clock, now and at most."""
        for clock, constant in CLOCKS.items():
            number = gpu.library.constant(constant)
            yield from CLOCK.of(gpu.ask("nvmlDeviceGetClockInfo", number), gpu.label, clock, times=1e6)
            yield from CLOCK_MAX.of(gpu.settled("nvmlDeviceGetMaxClockInfo", number), gpu.label, clock, times=1e6)
