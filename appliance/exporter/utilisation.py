"""How busy the card's engines are, over the driver's own window (a sixth of a second to a second)."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

BUSY = Family(
    "appliance_gpu_utilization_ratio", "gauge", "Share of the last window in which something ran on the card, 0 to 1."
)
MEMORY_BUSY = Family(
    "appliance_gpu_memory_utilization_ratio",
    "gauge",
    "Share of the last window in which the card's memory was read or written, 0 to 1.",
)
ENGINE_BUSY = Family(
    "appliance_gpu_engine_utilization_ratio",
    "gauge",
    "Share of the last window in which a fixed-function engine was busy, 0 to 1.",
    ("gpu", "engine"),
)
_ENGINES = {
    "encoder": "nvmlDeviceGetEncoderUtilization",
    "decoder": "nvmlDeviceGetDecoderUtilization",
    "jpeg": "nvmlDeviceGetJpgUtilization",
    "optical_flow": "nvmlDeviceGetOfaUtilization",
}


class Utilisation:
    """Shares of time, from NVML's per cent."""

    name = "utilisation"
    families = (BUSY, MEMORY_BUSY, ENGINE_BUSY)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """The card, its memory and its engines."""
        rates = gpu.ask("nvmlDeviceGetUtilizationRates")
        if rates is not None:
            yield from BUSY.of(rates.gpu, gpu.label, per=100)
            yield from MEMORY_BUSY.of(rates.memory, gpu.label, per=100)
        for engine, call in _ENGINES.items():
            answer = gpu.ask(call)
            yield from ENGINE_BUSY.of(answer and answer[0], gpu.label, engine, per=100)
