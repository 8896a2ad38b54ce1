"""Synthetic cards, of the shape NVIDIA documents: nobody measured these.

They exist for what the recorded H100 does not show: a card without ECC whose fans
are its own (RTX 4090), one with ECC and nothing around it (L4), one divided by MIG
that has NVLink (A100), an older one that retires pages
(T4). Each lists the answers it gives; every other call is Not Supported
or unknown to the driver, as on the real card. Values are plausible, not measured.

Sources: NVIDIA's NVML reference ("For ... or newer fully supported devices" at each
function), the data sheets for memory, power and clocks.
"""

from __future__ import annotations

from typing import Any

from tests.fakes.nvml import Card

GIB = 1024**3
#: NVML_VALUE_TYPE_UNSIGNED_LONG_LONG.
_UNSIGNED_LONG_LONG = 3


def rtx_4090() -> Card:
    """Synthetic GeForce RTX 4090: ECC switchable and off, so no counters; one process; two fans; no NVLink, no MIG."""
    calls = _common("NVIDIA GeForce RTX 4090", "89", memory_bytes=24 * GIB, watts=450, clocks=(2520, 2520, 10501, 1965))
    calls |= {
        "nvmlDeviceGetSerial()": None,
        "nvmlDeviceGetEccMode()": [0, 0],
        "nvmlDeviceGetNumFans()": 2,
        "nvmlDeviceGetFanSpeed_v2(0)": 30,
        "nvmlDeviceGetFanSpeed_v2(1)": 31,
        "nvmlDeviceGetComputeRunningProcesses()": [{"pid": 4242, "usedGpuMemory": 18 * GIB}],
        "nvmlDeviceGetGraphicsRunningProcesses()": [{"pid": 1234, "usedGpuMemory": None}],
        "nvmlDeviceGetCurrentClocksEventReasons()": 0x4,
    }
    return _card(calls, {94: 0, 74: 5_000_000_000, 75: 0, 230: 0})


def l4() -> Card:
    """Synthetic L4: passive, ECC on, rows remapped and one waiting for a reset, slowed by heat."""
    calls = _common("NVIDIA L4", "89", memory_bytes=23 * GIB, watts=72, clocks=(2040, 2040, 6251, 1770))
    calls |= {
        "nvmlDeviceGetEccMode()": [1, 1],
        "nvmlDeviceGetTotalEccErrors(0,0)": 3,
        "nvmlDeviceGetTotalEccErrors(0,1)": 17,
        "nvmlDeviceGetTotalEccErrors(1,0)": 0,
        "nvmlDeviceGetTotalEccErrors(1,1)": 1,
        "nvmlDeviceGetRemappedRows()": [1, 1, 1, 0],
        "nvmlDeviceGetRowRemapperHistogram()": {"max": 94, "high": 2, "partial": 0, "low": 0, "none": 0},
        "nvmlDeviceGetTemperature(0)": 88,
        "nvmlDeviceGetCurrentClocksEventReasons()": 0x20 | 0x40,
    }
    return _card(calls, {94: 2, 74: 0, 75: 61_000_000_000, 269: 60_500_000_000, 270: 500_000_000, 271: 0, 230: 1})


def a100_mig() -> Card:
    """Synthetic A100 80 GB in MIG mode with two instances: utilisation is not told, NVLink is."""
    calls = _common("NVIDIA A100-SXM4-80GB", "80", memory_bytes=80 * GIB, watts=400, clocks=(1410, 1410, 1593, 1275))
    calls |= {
        "nvmlDeviceGetArchitecture()": 7,
        "nvmlDeviceGetUtilizationRates()": None,
        "nvmlDeviceGetEccMode()": [1, 1],
        **{f"nvmlDeviceGetTotalEccErrors({kind},{life})": 0 for kind in (0, 1) for life in (0, 1)},
        "nvmlDeviceGetRemappedRows()": [0, 0, 0, 0],
        "nvmlDeviceGetMigMode()": [1, 1],
        "nvmlDeviceGetMaxMigDeviceCount()": 7,
        **{f"nvmlDeviceGetNvLinkState({link})": int(link != 11) for link in range(12)},
    }
    links = {91: 12, 138: 1_048_576, 139: 2_097_152, 38: 0, 45: 0, 52: 4, 59: 0}
    card = _card(calls, {82: 41, 94: 0, 74: 0, 75: 0, 142: 0, 143: 0, 144: 0, 145: 0, 230: 0, **links})
    card["mig"] = [
        _mig_device(1, "NVIDIA A100-SXM4-80GB MIG 3g.40gb", 40 * GIB, 42),
        _mig_device(2, "NVIDIA A100-SXM4-80GB MIG 3g.40gb", 40 * GIB, 42),
    ]
    return card


def older() -> Card:
    """Synthetic card before Ampere: retired pages instead of remapped rows, and the older names of the throttle calls."""
    calls = _common("Tesla T4", "75", memory_bytes=15 * GIB, watts=70, clocks=(1590, 1590, 5001, 1470))
    for word in ("Current", "Supported"):
        calls[f"nvmlDeviceGet{word}ClocksThrottleReasons()"] = calls.pop(f"nvmlDeviceGet{word}ClocksEventReasons()")
    calls |= {"nvmlDeviceGetArchitecture()": 6, "nvmlDeviceGetMemoryInfo_v2()": None}
    return _card(calls, {29: 2, 30: 1, 31: 1})


def _common(name: str, capability: str, *, memory_bytes: int, watts: int, clocks: tuple[int, ...]) -> dict[str, Any]:
    used = memory_bytes // 4
    memory = {"total": memory_bytes, "free": memory_bytes - used, "used": used}
    calls: dict[str, Any] = {
        "nvmlDeviceGetName()": name,
        "nvmlDeviceGetUUID()": "GPU-00000000-0000-4000-8000-5917e71c0001",
        "nvmlDeviceGetSerial()": "1000000000002",
        "nvmlDeviceGetPciInfo()": {"busId": "00000000:01:00.0"},
        "nvmlDeviceGetArchitecture()": 8,
        "nvmlDeviceGetCudaComputeCapability()": [int(digit) for digit in capability],
        "nvmlDeviceGetVbiosVersion()": "00.00.00.00.00",
        "nvmlDeviceGetPerformanceState()": 0,
        "nvmlDeviceGetPersistenceMode()": 1,
        "nvmlDeviceGetUtilizationRates()": {"gpu": 97, "memory": 41},
        "nvmlDeviceGetEncoderUtilization()": [0, 100000],
        "nvmlDeviceGetDecoderUtilization()": [0, 100000],
        "nvmlDeviceGetMemoryInfo()": memory,
        "nvmlDeviceGetMemoryInfo_v2()": {**memory, "reserved": GIB // 2, "free": memory["free"] - GIB // 2},
        "nvmlDeviceGetBAR1MemoryInfo()": {"bar1Total": GIB // 4, "bar1Free": GIB // 8, "bar1Used": GIB // 8},
        "nvmlDeviceGetTemperature(0)": 64,
        "nvmlDeviceGetTemperatureThreshold(0)": 96,
        "nvmlDeviceGetTemperatureThreshold(1)": 93,
        "nvmlDeviceGetTemperatureThreshold(3)": 88,
        "nvmlDeviceGetNumFans()": 0,
        "nvmlDeviceGetPowerUsage()": watts * 900,
        "nvmlDeviceGetEnforcedPowerLimit()": watts * 1000,
        "nvmlDeviceGetPowerManagementLimit()": watts * 1000,
        "nvmlDeviceGetPowerManagementDefaultLimit()": watts * 1000,
        "nvmlDeviceGetPowerManagementLimitConstraints()": [watts * 500, watts * 1000],
        "nvmlDeviceGetTotalEnergyConsumption()": 123_456_789,
        "nvmlDeviceGetCurrentClocksEventReasons()": 0,
        "nvmlDeviceGetSupportedClocksEventReasons()": 0x1FF,
        "nvmlDeviceGetCurrPcieLinkGeneration()": 4,
        "nvmlDeviceGetMaxPcieLinkGeneration()": 4,
        "nvmlDeviceGetCurrPcieLinkWidth()": 16,
        "nvmlDeviceGetMaxPcieLinkWidth()": 16,
        "nvmlDeviceGetPcieThroughput(0)": 1200,
        "nvmlDeviceGetPcieThroughput(1)": 3400,
        "nvmlDeviceGetComputeRunningProcesses()": [],
        "nvmlDeviceGetGraphicsRunningProcesses()": [],
        "nvmlDeviceGetSupportedEventTypes()": 0x8,
    }
    for number, megahertz in enumerate(clocks):
        calls[f"nvmlDeviceGetClockInfo({number})"] = megahertz
        calls[f"nvmlDeviceGetMaxClockInfo({number})"] = megahertz
    return calls


def _mig_device(instance: int, name: str, memory_bytes: int, multiprocessors: int) -> Card:
    calls = {
        "nvmlDeviceGetName()": name,
        "nvmlDeviceGetUUID()": f"MIG-00000000-0000-4000-8000-5917e71c010{instance}",
        "nvmlDeviceGetGpuInstanceId()": instance,
        "nvmlDeviceGetComputeInstanceId()": 0,
        "nvmlDeviceGetMemoryInfo()": {"total": memory_bytes, "free": memory_bytes // 2, "used": memory_bytes // 2},
        "nvmlDeviceGetAttributes_v2()": {"multiprocessorCount": multiprocessors},
    }
    return _card(calls, {})


def _card(calls: dict[str, Any], fields: dict[int, int]) -> Card:
    answers = {
        key: {"error": "NVMLError_NotSupported: Not Supported"} if value is None else {"value": value}
        for key, value in calls.items()
    }
    known = {str(number): {"ret": 0, "type": _UNSIGNED_LONG_LONG, "ull": value} for number, value in fields.items()}
    return {
        "about": "Synthetic: documented shape, values not measured.",
        "driver": "580.00.00",
        "nvml_version": "13.580.00.00",
        "cuda": 13000,
        "calls": answers,
        "fields": known,
    }
