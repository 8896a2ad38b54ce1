"""Hertz."""

from __future__ import annotations

from appliance.exporter.clocks import Clocks
from tests.exporter.conftest import values


def test_megahertz_become_hertz(rig):
    found = values(Clocks().collect(rig().gpu()))
    assert found["appliance_gpu_clock_hertz", "0", "sm"] == 345_000_000
    assert found["appliance_gpu_clock_max_hertz", "0", "sm"] == 1_980_000_000
    assert found["appliance_gpu_clock_hertz", "0", "memory"] == 2_619_000_000
