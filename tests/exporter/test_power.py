"""Watts and joules."""

from __future__ import annotations

from appliance.exporter.power import Power
from tests.exporter.conftest import values


def test_milliwatts_and_millijoules_become_watts_and_joules(rig):
    found = values(Power().collect(rig().gpu()))
    assert found["appliance_gpu_power_watts", "0"] == 74.845
    assert found["appliance_gpu_energy_joules_total", "0"] == 3754.701
    assert found["appliance_gpu_power_limit_watts", "0", "enforced"] == 700
    assert found["appliance_gpu_power_limit_watts", "0", "min"] == 200
