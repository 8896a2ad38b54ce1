"""The PCI Express link: how fast it could be, how fast it is, and what went wrong on it."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

GENERATION = Family(
    "appliance_gpu_pcie_link_generation",
    "gauge",
    "Generation of the link: now (lower at idle), and the highest that card and slot do together.",
    ("gpu", "state"),
)
WIDTH = Family(
    "appliance_gpu_pcie_link_width_lanes",
    "gauge",
    "Lanes of the link: now, and the most that card and slot have together.",
    ("gpu", "state"),
)
REPLAYS = Family("appliance_gpu_pcie_replays_total", "counter", "Packets that had to be sent again.")
ERRORS = Family(
    "appliance_gpu_pcie_errors_total",
    "counter",
    "Errors of the link by kind, as the card counts them.",
    ("gpu", "kind"),
)
_REPLAYS = "NVML_FI_DEV_PCIE_REPLAY_COUNTER"
_ERRORS = {
    "correctable": "NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS",
    "non_fatal": "NVML_FI_DEV_PCIE_COUNT_NON_FATAL_ERROR",
    "fatal": "NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR",
    "unsupported_request": "NVML_FI_DEV_PCIE_COUNT_UNSUPPORTED_REQ",
    "receiver": "NVML_FI_DEV_PCIE_COUNT_RECEIVER_ERROR",
    "bad_tlp": "NVML_FI_DEV_PCIE_COUNT_BAD_TLP",
    "bad_dllp": "NVML_FI_DEV_PCIE_COUNT_BAD_DLLP",
    "nak_received": "NVML_FI_DEV_PCIE_COUNT_NAKS_RECEIVED",
    "nak_sent": "NVML_FI_DEV_PCIE_COUNT_NAKS_SENT",
    "lcrc": "NVML_FI_DEV_PCIE_COUNT_LCRC_ERROR",
    "lane": "NVML_FI_DEV_PCIE_COUNT_LANE_ERROR",
}


class Pcie:
    """Generation, width, replays, errors. Throughput is ``pcie_throughput``."""

    name = "pcie"
    families = (GENERATION, WIDTH, REPLAYS, ERRORS)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """The link and its counters."""
        yield from GENERATION.of(gpu.ask("nvmlDeviceGetCurrPcieLinkGeneration"), gpu.label, "current")
        yield from GENERATION.of(gpu.settled("nvmlDeviceGetMaxPcieLinkGeneration"), gpu.label, "max")
        yield from WIDTH.of(gpu.ask("nvmlDeviceGetCurrPcieLinkWidth"), gpu.label, "current")
        yield from WIDTH.of(gpu.settled("nvmlDeviceGetMaxPcieLinkWidth"), gpu.label, "max")
        counts = gpu.fields(_REPLAYS, *_ERRORS.values())
        yield from REPLAYS.of(counts.get(_REPLAYS), gpu.label)
        for kind, field in _ERRORS.items():
            yield from ERRORS.of(counts.get(field), gpu.label, kind)
