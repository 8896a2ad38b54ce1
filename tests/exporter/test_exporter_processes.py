"""How many, never which."""

from __future__ import annotations

from appliance.exporter.metrics import render
from appliance.exporter.processes import Processes
from tests.exporter.conftest import values
from tests.fakes import nvml_cards


def test_numbers_by_kind(rig):
    found = values(Processes().collect(rig(nvml_cards.rtx_4090()).gpu()))
    assert found["appliance_gpu_processes", "0", "compute"] == 1
    assert found["appliance_gpu_process_memory_bytes", "0", "compute"] == 18 * 1024**3


def test_memory_that_the_driver_does_not_tell_is_absent(rig):
    found = values(Processes().collect(rig(nvml_cards.rtx_4090()).gpu()))
    assert found["appliance_gpu_processes", "0", "graphics"] == 1
    assert ("appliance_gpu_process_memory_bytes", "0", "graphics") not in found


def test_no_process_id_is_shown(rig):
    assert b"4242" not in render(rig(nvml_cards.rtx_4090()).survey.read())
