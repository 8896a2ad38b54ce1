"""The link."""

from __future__ import annotations

from appliance.exporter.pcie import Pcie
from tests.exporter.conftest import values
from tests.fakes import nvml_cards


def test_generation_width_replays_and_errors(rig):
    found = values(Pcie().collect(rig().gpu()))
    assert found["appliance_gpu_pcie_link_generation", "0", "current"] == 5
    assert found["appliance_gpu_pcie_link_width_lanes", "0", "max"] == 16
    assert found["appliance_gpu_pcie_replays_total", "0"] == 0
    assert found["appliance_gpu_pcie_errors_total", "0", "bad_tlp"] == 1


def test_a_card_that_counts_replays_only(rig):
    found = values(Pcie().collect(rig(nvml_cards.l4()).gpu()))
    assert found["appliance_gpu_pcie_replays_total", "0"] == 2
    assert not any(name == "appliance_gpu_pcie_errors_total" for name, *_ in found)
