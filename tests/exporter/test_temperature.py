"""Degrees, thresholds, fans."""

from __future__ import annotations

from appliance.exporter.temperature import Temperature
from tests.exporter.conftest import values
from tests.fakes import nvml_cards


def test_die_memory_thresholds_and_margin_of_the_h100(rig):
    found = values(Temperature().collect(rig().gpu()))
    assert found["appliance_gpu_temperature_celsius", "0", "gpu"] == 33
    assert found["appliance_gpu_temperature_celsius", "0", "memory"] == 39
    assert found["appliance_gpu_temperature_threshold_celsius", "0", "slowdown"] == 89
    assert found["appliance_gpu_temperature_margin_celsius", "0"] == 54
    assert not any(name == "appliance_gpu_fan_speed_ratio" for name, *_ in found)


def test_each_fan_of_a_card_that_has_its_own(rig):
    found = values(Temperature().collect(rig(nvml_cards.rtx_4090()).gpu()))
    assert found["appliance_gpu_fan_speed_ratio", "0", "0"] == 0.30
    assert found["appliance_gpu_fan_speed_ratio", "0", "1"] == 0.31


def test_thresholds_are_not_asked_for_at_every_scrape(rig):
    made = rig()
    gpu = made.gpu()
    list(Temperature().collect(gpu))
    made.driver.calls.clear()
    list(Temperature().collect(gpu))
    assert not [name for name, _ in made.driver.calls if "Threshold" in name]
