"""Bytes of the card's memory."""

from __future__ import annotations

from appliance.exporter.memory import Memory
from tests.exporter.conftest import values
from tests.fakes import nvml_cards

GIB = 1024**3


def test_reserved_memory_is_told_apart_where_the_driver_does(rig):
    found = values(Memory().collect(rig(nvml_cards.l4()).gpu()))
    assert found["appliance_gpu_memory_reserved_bytes", "0"] == GIB // 2
    assert found["appliance_gpu_memory_size_bytes", "0"] == 23 * GIB


def test_an_older_driver_gives_the_rest(rig):
    found = values(Memory().collect(rig().gpu()))
    assert ("appliance_gpu_memory_reserved_bytes", "0") not in found
    assert found["appliance_gpu_memory_used_bytes", "0"] == 503_316_480


def test_bar1_is_there(rig):
    assert values(Memory().collect(rig().gpu()))["appliance_gpu_bar1_used_bytes", "0"] == 1_703_936
