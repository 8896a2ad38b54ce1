"""Why the clocks are lower than they could be (NVML's clocks event reasons), and for how long they were."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

ACTIVE = Family(
    "appliance_gpu_throttle_active",
    "gauge",
    "1 while this holds the clocks down; hw_slowdown, hw_thermal and hw_power_brake are faults of cooling or supply.",
    ("gpu", "reason"),
)
SECONDS = Family(
    "appliance_gpu_throttle_seconds_total",
    "counter",
    "Time in which this held the clocks down, since the driver was loaded.",
    ("gpu", "reason"),
)
#: Bits of nvmlDeviceGetCurrentClocksEventReasons.
_BITS = {
    "gpu_idle": 0x1,
    "application_clocks": 0x2,
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
    "display_clocks": 0x100,
}
#: Field values that count nanoseconds.
_TIMES = {
    "sw_power_cap": "NVML_FI_DEV_PERF_POLICY_POWER",
    "thermal": "NVML_FI_DEV_PERF_POLICY_THERMAL",
    "sync_boost": "NVML_FI_DEV_PERF_POLICY_SYNC_BOOST",
    "board_limit": "NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT",
    "low_utilization": "NVML_FI_DEV_PERF_POLICY_LOW_UTILIZATION",
    "reliability": "NVML_FI_DEV_PERF_POLICY_RELIABILITY",
    "below_application_clocks": "NVML_FI_DEV_PERF_POLICY_TOTAL_APP_CLOCKS",
    "below_base_clocks": "NVML_FI_DEV_PERF_POLICY_TOTAL_BASE_CLOCKS",
    "sw_thermal": "NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN",
    "hw_thermal": "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN",
    "hw_power_brake": "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN",
}
#: Every value of the label ``reason``.
REASONS = tuple(dict.fromkeys((*_BITS, *_TIMES)))


class Throttle:
    """One sample for every reason the card knows, active or not."""

    name = "throttle"
    families = (ACTIVE, SECONDS)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """The bits that are set, and the time spent; drivers before 535 know the calls by their former names."""
        supported = _either(gpu, settled=True)
        current = _either(gpu, settled=False)
        if supported is not None and current is not None:
            for reason, bit in _BITS.items():
                if supported & bit:
                    yield from ACTIVE.of(float(bool(current & bit)), gpu.label, reason)
        times = gpu.fields(*_TIMES.values())
        for reason, field in _TIMES.items():
            yield from SECONDS.of(times.get(field), gpu.label, reason, per=1e9)


def _either(gpu: Gpu, *, settled: bool) -> int | None:
    for word in ("Event", "Throttle"):
        mask: int | None = (
            gpu.settled(f"nvmlDeviceGetSupportedClocks{word}Reasons")
            if settled
            else gpu.ask(f"nvmlDeviceGetCurrentClocks{word}Reasons")
        )
        if mask is not None:
            return mask
    return None
