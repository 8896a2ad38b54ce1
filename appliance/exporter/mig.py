"""MIG: a card that is divided into instances."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

MODE = Family(
    "appliance_gpu_mig_mode_enabled", "gauge", "1 if MIG is on: now, and after the next reset.", ("gpu", "state")
)
_INSTANCE = ("gpu", "gpu_instance", "compute_instance")
INFO = Family("appliance_gpu_mig_info", "gauge", "Always 1; one sample a MIG device.", (*_INSTANCE, "uuid", "name"))
SIZE = Family("appliance_gpu_mig_memory_size_bytes", "gauge", "Memory of a MIG device.", _INSTANCE)
USED = Family("appliance_gpu_mig_memory_used_bytes", "gauge", "Memory in use on a MIG device.", _INSTANCE)
MULTIPROCESSORS = Family(
    "appliance_gpu_mig_multiprocessors", "gauge", "Streaming multiprocessors of a MIG device.", _INSTANCE
)


class Mig:
    """The mode where the card has MIG; the rest while it is on."""

    name = "mig"
    families = (MODE, INFO, SIZE, USED, MULTIPROCESSORS)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """Mode and instances."""
        current, pending = gpu.ask("nvmlDeviceGetMigMode") or (None, None)
        yield from MODE.of(current, gpu.label, "current")
        yield from MODE.of(pending, gpu.label, "pending")
        if not current:
            return
        for device in gpu.mig_devices():
            instance = (
                gpu.label,
                str(device.ask("nvmlDeviceGetGpuInstanceId")),
                str(device.ask("nvmlDeviceGetComputeInstanceId")),
            )
            uuid, name = device.ask("nvmlDeviceGetUUID"), device.ask("nvmlDeviceGetName")
            yield from INFO.of(1, *instance, str(uuid or ""), str(name or ""))
            memory = device.ask("nvmlDeviceGetMemoryInfo")
            yield from SIZE.of(memory and memory.total, *instance)
            yield from USED.of(memory and memory.used, *instance)
            attributes = device.ask("nvmlDeviceGetAttributes_v2")
            yield from MULTIPROCESSORS.of(attributes and attributes.multiprocessorCount, *instance)
