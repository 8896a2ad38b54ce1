"""A card in parts."""

from __future__ import annotations

from appliance.exporter.mig import INFO, Mig
from tests.exporter.conftest import values
from tests.fakes import nvml_cards


def test_each_device_of_a_divided_card(rig):
    found = values(Mig().collect(rig(nvml_cards.a100_mig()).gpu()))
    assert found["appliance_gpu_mig_memory_size_bytes", "0", "1", "0"] == 40 * 1024**3
    assert found["appliance_gpu_mig_memory_used_bytes", "0", "2", "0"] == 20 * 1024**3
    assert found["appliance_gpu_mig_multiprocessors", "0", "2", "0"] == 42
    assert len([name for name, *_ in found if name == INFO.name]) == 2


def test_a_whole_card_has_the_mode_only(rig):
    assert values(Mig().collect(rig().gpu())) == {
        ("appliance_gpu_mig_mode_enabled", "0", "current"): 0,
        ("appliance_gpu_mig_mode_enabled", "0", "pending"): 0,
    }
