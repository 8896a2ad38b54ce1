"""The same under the names of NVIDIA's DCGM exporter, so that dashboards made for it work.

Nothing is read for it: each row takes a sample that is there already, in DCGM's
unit. What the card does not have is absent, as it is there. Names, types and help
texts are those of ``etc/default-counters.csv`` of dcgm-exporter 4; of the rows
that file has commented out, those whose unit is not in doubt. Two of its types are
odd and kept for the dashboards' sake: PCIe throughput is a rate that it calls a
counter, and its counters do not end in ``_total``.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from appliance.exporter import (
    clocks,
    ecc,
    identity,
    memory,
    nvlink,
    pcie,
    pcie_throughput,
    power,
    retired_pages,
    row_remapping,
    survey,
    temperature,
    utilisation,
    vgpu_licence,
    xid_watch,
)
from appliance.exporter.metrics import Family, Sample

LABELS = ("gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION")

_MIB = 1024**2


@dataclass(frozen=True)
class Row:
    """One DCGM field.

    Args:
        name: its name.
        kind: its type there.
        help: its help text there.
        family: where the value comes from.
        labels: of that sample, after ``gpu``; several are added up.
        times, per: from our unit to theirs.
        default: whether dcgm-exporter exports it unless told otherwise.
    """

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    family: Family
    labels: tuple[tuple[str, ...], ...] = ((),)
    times: float = 1
    per: float = 1
    default: bool = True

    def as_family(self) -> Family:
        """The metric as it is exported."""
        return Family(self.name, self.kind, self.help, LABELS)


ROWS: tuple[Row, ...] = (
    Row("DCGM_FI_DEV_SM_CLOCK", "gauge", "SM clock frequency (in MHz).", clocks.CLOCK, (("sm",),), per=1e6),
    Row("DCGM_FI_DEV_MEM_CLOCK", "gauge", "Memory clock frequency (in MHz).", clocks.CLOCK, (("memory",),), per=1e6),
    Row("DCGM_FI_DEV_MEMORY_TEMP", "gauge", "Memory temperature (in C).", temperature.TEMPERATURE, (("memory",),)),
    Row("DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C).", temperature.TEMPERATURE, (("gpu",),)),
    Row("DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W).", power.DRAW),
    Row(
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        "counter",
        "Total energy consumption since boot (in mJ).",
        power.ENERGY,
        times=1000,
    ),
    Row(
        "DCGM_FI_DEV_PCIE_TX_THROUGHPUT",
        "counter",
        "Total number of bytes transmitted through PCIe TX (in KB) via NVML.",
        pcie_throughput.THROUGHPUT,
        (("transmit",),),
        per=1000,
    ),
    Row(
        "DCGM_FI_DEV_PCIE_RX_THROUGHPUT",
        "counter",
        "Total number of bytes received through PCIe RX (in KB) via NVML.",
        pcie_throughput.THROUGHPUT,
        (("receive",),),
        per=1000,
    ),
    Row("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "counter", "Total number of PCIe retries.", pcie.REPLAYS),
    Row("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization (in %).", utilisation.BUSY, times=100),
    Row("DCGM_FI_DEV_MEM_COPY_UTIL", "gauge", "Memory utilization (in %).", utilisation.MEMORY_BUSY, times=100),
    Row(
        "DCGM_FI_DEV_ENC_UTIL",
        "gauge",
        "Encoder utilization (in %).",
        utilisation.ENGINE_BUSY,
        (("encoder",),),
        times=100,
    ),
    Row(
        "DCGM_FI_DEV_DEC_UTIL",
        "gauge",
        "Decoder utilization (in %).",
        utilisation.ENGINE_BUSY,
        (("decoder",),),
        times=100,
    ),
    Row("DCGM_FI_DEV_XID_ERRORS", "gauge", "Value of the last XID error encountered.", xid_watch.LAST_CODE),
    Row("DCGM_FI_DEV_FB_FREE", "gauge", "Framebuffer memory free (in MiB).", memory.FREE, per=_MIB),
    Row("DCGM_FI_DEV_FB_USED", "gauge", "Framebuffer memory used (in MiB).", memory.USED, per=_MIB),
    Row(
        "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL",
        "counter",
        "Total number of NVLink bandwidth counters for all lanes",
        nvlink.TRAFFIC,
        (("transmit",), ("receive",)),
        per=1024,
    ),
    Row("DCGM_FI_DEV_VGPU_LICENSE_STATUS", "gauge", "vGPU License status", vgpu_licence.LICENSED),
    Row(
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "counter",
        "Number of remapped rows for uncorrectable errors",
        row_remapping.ROWS,
        (("uncorrected",),),
    ),
    Row(
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        "counter",
        "Number of remapped rows for correctable errors",
        row_remapping.ROWS,
        (("corrected",),),
    ),
    Row("DCGM_FI_DEV_ROW_REMAP_FAILURE", "gauge", "Whether remapping of rows has failed", row_remapping.FAILED),
    *(
        Row(
            f"DCGM_FI_DEV_ECC_{bits}_{life}_TOTAL",
            "counter",
            f"Total number of {word}-bit {lasting} ECC errors.",
            ecc.ERRORS,
            ((kind, lifetime),),
            default=False,
        )
        for life, lasting, lifetime in (("VOL", "volatile", "volatile"), ("AGG", "persistent", "aggregate"))
        for bits, word, kind in (("SBE", "single", "corrected"), ("DBE", "double", "uncorrected"))
    ),
    *(
        Row(
            f"DCGM_FI_DEV_RETIRED_{bits}",
            "counter",
            f"Total number of retired pages due to {word}-bit errors.",
            retired_pages.PAGES,
            ((f"{word}_bit",),),
            default=False,
        )
        for bits, word in (("SBE", "single"), ("DBE", "double"))
    ),
    Row(
        "DCGM_FI_DEV_RETIRED_PENDING",
        "counter",
        "Total number of pages pending retirement.",
        retired_pages.PENDING,
        default=False,
    ),
    *(
        Row(
            f"DCGM_FI_DEV_NVLINK_{word}_ERROR_COUNT_TOTAL",
            "counter",
            f"Total number of NVLink {what}.",
            nvlink.ERRORS,
            ((kind,),),
            default=False,
        )
        for word, what, kind in (
            ("CRC_FLIT", "flow-control CRC errors", "crc_flit"),
            ("CRC_DATA", "data CRC errors", "crc_data"),
            ("REPLAY", "retries", "replay"),
            ("RECOVERY", "recovery errors", "recovery"),
        )
    ),
)


def renamed(samples: Iterable[Sample], host: str | None = None) -> Iterator[Sample]:
    """The rows for every card that can be read.

    Args:
        samples: a whole reading.
        host: value of the label ``Hostname``; by default this machine's.
    """
    values = {(sample.family.name, *sample.labels): sample.value for sample in samples}
    cards = [sample.labels for sample in samples if sample.family is identity.INFO]
    driver = next((sample.labels[0] for sample in samples if sample.family is survey.DRIVER), "")
    name = socket.gethostname() if host is None else host
    for row in ROWS:
        family = row.as_family()
        for gpu, uuid, model, _serial, pci_bus_id, *_ in cards:
            parts = [values.get((row.family.name, gpu, *labels)) for labels in row.labels]
            found = [part for part in parts if part is not None]
            if len(found) == len(parts):
                labels = (gpu, uuid, pci_bus_id, f"nvidia{gpu}", model, name, driver)
                yield from family.of(sum(found), *labels, times=row.times, per=row.per)
