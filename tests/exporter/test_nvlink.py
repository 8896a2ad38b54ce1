"""Links between cards."""

from __future__ import annotations

from appliance.exporter.nvlink import Nvlink
from tests.exporter.conftest import values
from tests.fakes import nvml_cards


def test_states_traffic_and_errors(rig):
    found = values(Nvlink().collect(rig(nvml_cards.a100_mig()).gpu()))
    assert found["appliance_gpu_nvlink_up", "0", "0"] == 1
    assert found["appliance_gpu_nvlink_up", "0", "11"] == 0
    assert found["appliance_gpu_nvlink_bytes_total", "0", "transmit"] == 1024**3
    assert found["appliance_gpu_nvlink_errors_total", "0", "replay"] == 4


def test_a_card_without_links_has_none(rig):
    assert list(Nvlink().collect(rig().gpu())) == []
