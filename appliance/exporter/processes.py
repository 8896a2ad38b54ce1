"""How many processes use the card and how much of its memory; never which, or with what arguments."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

COUNT = Family("appliance_gpu_processes", "gauge", "Processes on the card by kind.", ("gpu", "kind"))
MEMORY = Family(
    "appliance_gpu_process_memory_bytes",
    "gauge",
    "Memory that the processes of a kind hold; absent if the driver does not say.",
    ("gpu", "kind"),
)
_KINDS = {
    "compute": "nvmlDeviceGetComputeRunningProcesses",
    "graphics": "nvmlDeviceGetGraphicsRunningProcesses",
    "mps": "nvmlDeviceGetMPSComputeRunningProcesses",
}


class Processes:
    """Numbers only."""

    name = "processes"
    families = (COUNT, MEMORY)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """Each kind of process."""
        for kind, call in _KINDS.items():
            found = gpu.ask(call)
            if found is None:
                continue
            yield from COUNT.of(len(found), gpu.label, kind)
            held = [process.usedGpuMemory for process in found]
            yield from MEMORY.of(None if None in held else sum(held), gpu.label, kind)
