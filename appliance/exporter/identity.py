"""Which card it is, and the few states that are neither load nor fault."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

INFO = Family(
    "appliance_gpu_info",
    "gauge",
    "Always 1; the labels say which card it is.",
    ("gpu", "uuid", "name", "serial", "pci_bus_id", "architecture", "compute_capability", "vbios"),
)
PERFORMANCE_STATE = Family(
    "appliance_gpu_performance_state", "gauge", "Performance state, from 0 (fastest) to 15 (slowest)."
)
PERSISTENCE = Family(
    "appliance_gpu_persistence_mode_enabled", "gauge", "1 if the driver stays loaded while nobody uses the card."
)

#: NVML_DEVICE_ARCH_*.
ARCHITECTURES = {
    2: "kepler",
    3: "maxwell",
    4: "pascal",
    5: "volta",
    6: "turing",
    7: "ampere",
    8: "ada",
    9: "hopper",
    10: "blackwell",
}
#: NVML_PSTATE_UNKNOWN.
_UNKNOWN_STATE = 32


class Identity:
    """Name, numbers and states."""

    name = "identity"
    families = (INFO, PERFORMANCE_STATE, PERSISTENCE)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """What the card says of itself."""
        pci = gpu.settled("nvmlDeviceGetPciInfo")
        capability = gpu.settled("nvmlDeviceGetCudaComputeCapability")
        yield from INFO.of(
            1,
            gpu.label,
            _text(gpu.settled("nvmlDeviceGetUUID")),
            _text(gpu.settled("nvmlDeviceGetName")),
            _text(gpu.settled("nvmlDeviceGetSerial")),
            _text(pci.busId) if pci else "",
            ARCHITECTURES.get(gpu.settled("nvmlDeviceGetArchitecture"), ""),
            ".".join(str(part) for part in capability) if capability else "",
            _text(gpu.settled("nvmlDeviceGetVbiosVersion")),
        )
        state = gpu.ask("nvmlDeviceGetPerformanceState")
        yield from PERFORMANCE_STATE.of(None if state == _UNKNOWN_STATE else state, gpu.label)
        yield from PERSISTENCE.of(gpu.settled("nvmlDeviceGetPersistenceMode"), gpu.label)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)
