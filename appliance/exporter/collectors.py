"""The collectors, in the order in which they run and appear. A new one is added here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.exporter.clocks import Clocks
from appliance.exporter.collector import Collector, SlowCollector
from appliance.exporter.ecc import Ecc
from appliance.exporter.identity import Identity
from appliance.exporter.memory import Memory
from appliance.exporter.mig import Mig
from appliance.exporter.nvlink import Nvlink
from appliance.exporter.pcie import Pcie
from appliance.exporter.pcie_throughput import PcieThroughput
from appliance.exporter.power import Power
from appliance.exporter.processes import Processes
from appliance.exporter.recovery import Recovery
from appliance.exporter.retired_pages import RetiredPages
from appliance.exporter.row_remapping import RowRemapping
from appliance.exporter.temperature import Temperature
from appliance.exporter.throttle import Throttle
from appliance.exporter.utilisation import Utilisation
from appliance.exporter.vgpu_licence import VgpuLicence


@dataclass(frozen=True)
class Collectors:
    """All of one exporter.

    Args:
        every: in order.
        slow: those of them that measure after a scrape.
    """

    every: tuple[Collector, ...]
    slow: tuple[SlowCollector, ...]


def standard() -> Collectors:
    """What the appliance exports."""
    throughput = PcieThroughput()
    return Collectors(
        every=(
            Identity(),
            Utilisation(),
            Memory(),
            Temperature(),
            Power(),
            Clocks(),
            Throttle(),
            Pcie(),
            throughput,
            Ecc(),
            RowRemapping(),
            RetiredPages(),
            Recovery(),
            Processes(),
            Nvlink(),
            Mig(),
            VgpuLicence(),
        ),
        slow=(throughput,),
    )
