"""Why the clocks are low, and for how long."""

from __future__ import annotations

import pytest

from appliance.exporter.throttle import REASONS, Throttle
from tests.exporter.conftest import values
from tests.fakes import nvml, nvml_cards


def active(found):
    return {labels[2] for labels, value in found.items() if labels[0] == "appliance_gpu_throttle_active" and value}


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (0x1, {"gpu_idle"}),
        (0x4, {"sw_power_cap"}),
        (0x8, {"hw_slowdown"}),
        (0x20 | 0x40, {"sw_thermal", "hw_thermal"}),
        (0x80, {"hw_power_brake"}),
        (0, set()),
    ],
)
def test_every_bit_that_is_set_and_no_other(rig, bits, reasons):
    card = nvml.recorded()
    card["calls"]["nvmlDeviceGetCurrentClocksEventReasons()"] = {"value": bits}
    found = values(Throttle().collect(rig(card).gpu()))
    assert active(found) == reasons
    assert len([name for name, *_ in found if name == "appliance_gpu_throttle_active"]) == 9


def test_a_reason_the_card_does_not_know_is_absent(rig):
    card = nvml.recorded()
    card["calls"]["nvmlDeviceGetSupportedClocksEventReasons()"] = {"value": 0x1 | 0x4}
    found = values(Throttle().collect(rig(card).gpu()))
    assert {labels[2] for labels in found if labels[0] == "appliance_gpu_throttle_active"} == {
        "gpu_idle",
        "sw_power_cap",
    }


def test_drivers_that_know_the_calls_by_their_former_names(rig):
    found = values(Throttle().collect(rig(nvml_cards.older()).gpu()))
    assert ("appliance_gpu_throttle_active", "0", "hw_slowdown") in found


def test_time_is_in_seconds(rig):
    found = values(Throttle().collect(rig().gpu()))
    assert found["appliance_gpu_throttle_seconds_total", "0", "low_utilization"] == 37.37842384
    assert found["appliance_gpu_throttle_seconds_total", "0", "hw_thermal"] == 0


def test_reasons_are_a_fixed_set(rig):
    found = values(Throttle().collect(rig().gpu()))
    assert {labels[2] for labels in found} <= set(REASONS)
