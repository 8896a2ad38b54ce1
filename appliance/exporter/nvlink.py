"""NVLink, where the card has links: which are up, their traffic and their errors."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

UP = Family("appliance_gpu_nvlink_up", "gauge", "1 if the link is active.", ("gpu", "link"))
TRAFFIC = Family(
    "appliance_gpu_nvlink_bytes_total",
    "counter",
    "Data over all links, without the protocol's own.",
    ("gpu", "direction"),
)
ERRORS = Family("appliance_gpu_nvlink_errors_total", "counter", "Errors over all links by kind.", ("gpu", "kind"))
_LINKS = "NVML_FI_DEV_NVLINK_LINK_COUNT"
_TRAFFIC = {
    "transmit": "NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX",
    "receive": "NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX",
}
_ERRORS = {
    "crc_flit": "NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
    "crc_data": "NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
    "replay": "NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL",
    "recovery": "NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
    "ecc_data": "NVML_FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_TOTAL",
}
#: Scope of a field value that means all links together.
_ALL_LINKS = 0xFFFFFFFF


class Nvlink:
    """Absent on cards without links, and on cards whose links are not connected."""

    name = "nvlink"
    families = (UP, TRAFFIC, ERRORS)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """States, then totals."""
        for link in range(int(gpu.fields(_LINKS).get(_LINKS, 0))):
            yield from UP.of(gpu.ask("nvmlDeviceGetNvLinkState", link), gpu.label, str(link))
        traffic = gpu.fields(*_TRAFFIC.values(), scope=_ALL_LINKS)
        for direction, field in _TRAFFIC.items():
            yield from TRAFFIC.of(traffic.get(field), gpu.label, direction, times=1024)
        errors = gpu.fields(*_ERRORS.values())
        for kind, field in _ERRORS.items():
            yield from ERRORS.of(errors.get(field), gpu.label, kind)
