"""Shares of time."""

from __future__ import annotations

from appliance.exporter.utilisation import Utilisation
from tests.exporter.conftest import values
from tests.fakes import nvml_cards


def test_per_cent_become_shares(rig):
    found = values(Utilisation().collect(rig(nvml_cards.l4()).gpu()))
    assert found["appliance_gpu_utilization_ratio", "0"] == 0.97
    assert found["appliance_gpu_memory_utilization_ratio", "0"] == 0.41
    assert found["appliance_gpu_engine_utilization_ratio", "0", "decoder"] == 0


def test_a_card_in_mig_mode_does_not_tell_its_own(rig):
    found = values(Utilisation().collect(rig(nvml_cards.a100_mig()).gpu()))
    assert ("appliance_gpu_utilization_ratio", "0") not in found
