"""Temperatures and the thresholds at which the card acts."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

TEMPERATURE = Family(
    "appliance_gpu_temperature_celsius", "gauge", "Temperature of the die and of the memory.", ("gpu", "sensor")
)
THRESHOLD = Family(
    "appliance_gpu_temperature_threshold_celsius",
    "gauge",
    "Temperature at which the card shuts down, slows down, or reaches the highest it is built to work at.",
    ("gpu", "threshold"),
)
MARGIN = Family(
    "appliance_gpu_temperature_margin_celsius",
    "gauge",
    "Distance to the nearest slowdown threshold; 0 or less is too hot.",
)
FAN = Family(
    "appliance_gpu_fan_speed_ratio", "gauge", "Speed of a fan, 1 being its noise-limited maximum.", ("gpu", "fan")
)
_THRESHOLDS = {
    "shutdown": "NVML_TEMPERATURE_THRESHOLD_SHUTDOWN",
    "slowdown": "NVML_TEMPERATURE_THRESHOLD_SLOWDOWN",
    "memory_max": "NVML_TEMPERATURE_THRESHOLD_MEM_MAX",
    "gpu_max": "NVML_TEMPERATURE_THRESHOLD_GPU_MAX",
}
_MEMORY = "NVML_FI_DEV_MEMORY_TEMP"


class Temperature:
    """Degrees Celsius; fans where the card has its own."""

    name = "temperature"
    families = (TEMPERATURE, THRESHOLD, MARGIN, FAN)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """Sensors, thresholds, margin, fans."""
        sensor = gpu.library.constant("NVML_TEMPERATURE_GPU")
        yield from TEMPERATURE.of(gpu.ask("nvmlDeviceGetTemperature", sensor), gpu.label, "gpu")
        yield from TEMPERATURE.of(gpu.fields(_MEMORY).get(_MEMORY), gpu.label, "memory")
        for threshold, constant in _THRESHOLDS.items():
            number = gpu.library.constant(constant)
            yield from THRESHOLD.of(gpu.settled("nvmlDeviceGetTemperatureThreshold", number), gpu.label, threshold)
        yield from MARGIN.of(gpu.ask("nvmlDeviceGetMarginTemperature"), gpu.label)
        for fan in range(gpu.settled("nvmlDeviceGetNumFans") or 0):
            yield from FAN.of(gpu.ask("nvmlDeviceGetFanSpeed_v2", fan), gpu.label, str(fan), per=100)
