"""Traffic on the PCI Express link. NVML measures it for 20 ms a call: too long for a scrape, so it is done after one."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

THROUGHPUT = Family(
    "appliance_gpu_pcie_throughput_bytes_per_second",
    "gauge",
    "Traffic between host and card over 20 milliseconds right after the scrape before this one.",
    ("gpu", "direction"),
)
#: As in NVML_PCIE_UTIL_*: seen from the card.
_COUNTERS = {"transmit": "NVML_PCIE_UTIL_TX_BYTES", "receive": "NVML_PCIE_UTIL_RX_BYTES"}
#: What was measured longer ago is not shown.
STALE_SECONDS = 120.0


class PcieThroughput:
    """Bytes a second, from NVML's KB/s (taken as 1,000 bytes)."""

    name = "pcie_throughput"
    families = (THROUGHPUT,)

    def __init__(self) -> None:
        self._measured: dict[tuple[str, str], tuple[float, int]] = {}

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """What was measured after the last scrape."""
        for direction in _COUNTERS:
            at_seconds, kilobytes = self._measured.get((gpu.label, direction), (float("-inf"), None))
            if gpu.library.now() - at_seconds <= STALE_SECONDS:
                yield from THROUGHPUT.of(kilobytes, gpu.label, direction, times=1000)

    def measure(self, gpu: Gpu) -> None:
        """Measure both directions, one after the other."""
        for direction, constant in _COUNTERS.items():
            kilobytes = gpu.ask("nvmlDeviceGetPcieThroughput", gpu.library.constant(constant))
            if kilobytes is not None:
                self._measured[gpu.label, direction] = (gpu.library.now(), kilobytes)

    def forget(self) -> None:
        """Drop all measurements."""
        self._measured.clear()
