"""What NVML's answers mean here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pynvml
import pytest

from appliance.exporter.nvml import (
    DOWN_REASONS,
    SETTLED_SECONDS,
    UNAVAILABLE_REASONS,
    GpuDown,
    Library,
    NvmlFailed,
    NvmlUnavailable,
)
from tests.fakes import nvml_cards
from tests.fakes.nvml import FakeNvml

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "library_not_found"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "driver_not_loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "version_mismatch"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "no_permission"),
        (pynvml.NVML_ERROR_GPU_NOT_FOUND, "no_gpu"),
        (pynvml.NVML_ERROR_UNKNOWN, "error"),
    ],
)
def test_why_nvml_cannot_be_opened(rig, code, reason):
    made = rig()
    made.driver.fail("nvmlInit", code)
    with pytest.raises(NvmlUnavailable) as caught:
        made.library.open()
    assert caught.value.reason == reason
    assert reason in UNAVAILABLE_REASONS


def test_a_driver_without_a_card_is_closed_again():
    driver = FakeNvml()
    with pytest.raises(NvmlUnavailable, match="no_gpu"):
        Library(driver).open()
    assert driver.opened == 0


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (pynvml.NVML_ERROR_GPU_IS_LOST, "lost"),
        (pynvml.NVML_ERROR_RESET_REQUIRED, "reset_required"),
        (pynvml.NVML_ERROR_INSUFFICIENT_POWER, "insufficient_power"),
        (pynvml.NVML_ERROR_IRQ_ISSUE, "interrupts"),
    ],
)
def test_what_says_that_the_card_is_gone(rig, code, reason):
    made = rig()
    gpu = made.gpu()
    made.driver.fail("nvmlDeviceGetPowerUsage", code)
    with pytest.raises(GpuDown) as caught:
        gpu.ask("nvmlDeviceGetPowerUsage")
    assert caught.value.reason == reason
    assert reason in DOWN_REASONS


@pytest.mark.parametrize(
    "code",
    [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, pynvml.NVML_ERROR_INVALID_ARGUMENT],
)
def test_not_supported_is_none(rig, code):
    made = rig()
    made.driver.fail("nvmlDeviceGetPowerUsage", code)
    assert made.gpu().ask("nvmlDeviceGetPowerUsage") is None


def test_any_other_error_is_a_failure(rig):
    made = rig()
    made.driver.fail("nvmlDeviceGetPowerUsage", pynvml.NVML_ERROR_UNKNOWN)
    with pytest.raises(NvmlFailed, match=r"nvmlDeviceGetPowerUsage: NVML error 999"):
        made.gpu().ask("nvmlDeviceGetPowerUsage")


def test_a_function_that_this_pynvml_lacks_is_none(rig):
    assert rig().gpu().ask("nvmlDeviceGetSomethingOfTheFuture") is None


def test_settled_answers_are_kept_for_a_while_absent_ones_too(rig):
    made = rig()
    gpu = made.gpu()
    for _ in range(2):
        assert gpu.settled("nvmlDeviceGetFanSpeed") is None
    assert [name for name, _ in made.driver.calls] == ["nvmlDeviceGetFanSpeed()"]
    made.clock.seconds += SETTLED_SECONDS
    gpu.settled("nvmlDeviceGetFanSpeed")
    assert len(made.driver.calls) == 2


def test_field_values_are_read_by_their_type_and_only_where_answered(rig):
    fields = (
        "NVML_FI_DEV_MEMORY_TEMP",
        "NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT",
        "NVML_FI_DEV_RETIRED_SBE",
        "NVML_FI_DEV_OF_THE_FUTURE",
    )
    assert rig().gpu().fields(*fields) == {
        "NVML_FI_DEV_MEMORY_TEMP": 39,
        "NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT": -8,
    }


def test_versions_of_the_driver(rig):
    versions = rig(nvml_cards.l4()).library.versions()
    assert (versions.driver, versions.nvml, versions.cuda) == ("580.00.00", "13.580.00.00", "13.0")


def test_an_xid_of_an_unknown_handle_is_the_only_cards(rig):
    made = rig()
    events = made.library.events([made.gpu()])
    made.driver.events.put(
        pynvml.c_nvmlEventData_t(device=None, eventType=pynvml.nvmlEventTypeXidCriticalError, eventData=79)
    )
    assert events.wait(100) == ("0", 79)
    assert events.wait(1) is None


def test_no_other_module_of_the_room_imports_pynvml():
    room = ROOT / "appliance" / "exporter"
    assert [path.name for path in room.glob("*.py") if "import pynvml" in path.read_text(encoding="utf-8")] == [
        "nvml.py"
    ]


def test_this_machines_own_nvml_opens_or_says_why_not():
    code = (
        "from appliance.exporter.nvml import *\n"
        "try: print(Library().open())\n"
        "except NvmlUnavailable as err: assert err.reason in UNAVAILABLE_REASONS; print(err.reason)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
