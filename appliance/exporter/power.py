"""Power, its limits, and the energy used so far."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

DRAW = Family("appliance_gpu_power_watts", "gauge", "Power the card draws, averaged by it over up to a second.")
LIMIT = Family(
    "appliance_gpu_power_limit_watts",
    "gauge",
    "Power limits: enforced now, set by the administrator, the default, the lowest and the highest that can be set.",
    ("gpu", "limit"),
)
ENERGY = Family("appliance_gpu_energy_joules_total", "counter", "Energy the card has used since the driver was loaded.")


class Power:
    """Watts and joules, from NVML's thousandths."""

    name = "power"
    families = (DRAW, LIMIT, ENERGY)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """Draw, limits, energy."""
        yield from DRAW.of(gpu.ask("nvmlDeviceGetPowerUsage"), gpu.label, per=1000)
        lowest, highest = gpu.settled("nvmlDeviceGetPowerManagementLimitConstraints") or (None, None)
        limits = {
            "enforced": gpu.ask("nvmlDeviceGetEnforcedPowerLimit"),
            "set": gpu.settled("nvmlDeviceGetPowerManagementLimit"),
            "default": gpu.settled("nvmlDeviceGetPowerManagementDefaultLimit"),
            "min": lowest,
            "max": highest,
        }
        for limit, milliwatts in limits.items():
            yield from LIMIT.of(milliwatts, gpu.label, limit, per=1000)
        yield from ENERGY.of(gpu.ask("nvmlDeviceGetTotalEnergyConsumption"), gpu.label, per=1000)
