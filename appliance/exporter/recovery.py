"""What the driver itself wants done about a fault (the value that XID 154 announces)."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample, states
from appliance.exporter.nvml import Gpu

ACTION = Family(
    "appliance_gpu_recovery_action",
    "gauge",
    "1 for the action the driver asks for, 0 for the others.",
    ("gpu", "action"),
)
#: NVML_GPU_RECOVERY_ACTION_*, in the order of their numbers.
ACTIONS = (
    "none",
    "reset_gpu",
    "reboot",
    "drain_peers",
    "drain_and_reset",
    "recover_fabric",
    "reset_bus",
    "reboot_system",
)
_FIELD = "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION"


class Recovery:
    """Absent on drivers that do not say; an action without a name here sets none of them."""

    name = "recovery"
    families = (ACTION,)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """One sample an action."""
        number = gpu.fields(_FIELD).get(_FIELD)
        if number is not None:
            current = ACTIONS[int(number)] if int(number) < len(ACTIONS) else None
            yield from states(ACTION, gpu.label, ACTIONS, current)
