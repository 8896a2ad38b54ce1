"""The card's memory, and BAR1, the window through which the host reaches it."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

SIZE = Family("appliance_gpu_memory_size_bytes", "gauge", "Memory of the card.")
USED = Family(
    "appliance_gpu_memory_used_bytes",
    "gauge",
    "Memory that processes hold; on drivers that do not tell it apart, with what the driver keeps for itself.",
)
FREE = Family("appliance_gpu_memory_free_bytes", "gauge", "Memory that can be allocated.")
RESERVED = Family(
    "appliance_gpu_memory_reserved_bytes", "gauge", "Memory that driver and firmware keep for themselves."
)
BAR1_SIZE = Family(
    "appliance_gpu_bar1_size_bytes", "gauge", "Size of the window through which the host reaches the card."
)
BAR1_USED = Family("appliance_gpu_bar1_used_bytes", "gauge", "Part of that window in use.")


class Memory:
    """Bytes."""

    name = "memory"
    families = (SIZE, USED, FREE, RESERVED, BAR1_SIZE, BAR1_USED)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """Version 2 of the call tells reserved memory apart; drivers before 510 have version 1 only."""
        version = gpu.library.constant("nvmlMemory_v2")
        info = gpu.ask("nvmlDeviceGetMemoryInfo", version=version) if version else None
        if info is not None:
            yield from RESERVED.of(info.reserved, gpu.label)
        else:
            info = gpu.ask("nvmlDeviceGetMemoryInfo")
        if info is not None:
            yield from SIZE.of(info.total, gpu.label)
            yield from USED.of(info.used, gpu.label)
            yield from FREE.of(info.free, gpu.label)
        window = gpu.ask("nvmlDeviceGetBAR1MemoryInfo")
        if window is not None:
            yield from BAR1_SIZE.of(window.bar1Total, gpu.label)
            yield from BAR1_USED.of(window.bar1Used, gpu.label)
