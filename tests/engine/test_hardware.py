"""What the machine shows decides the device; a broken GPU is never a silent CPU."""

from __future__ import annotations

import sys
import types

import pytest

from appliance.engine import hardware
from appliance.engine.hardware import Hardware
from appliance.errors import HardwareMissing

H100 = Hardware("cuda", "NVIDIA H100 80GB HBM3", 81_559 * hardware.MIB, (9, 0), 1, "580.159.04")


def answers():
    return H100


def fails():
    raise HardwareMissing("NVML cannot be used: Driver Not Loaded.")


@pytest.fixture
def machine(tmp_path):
    """A machine without NVIDIA hardware, 8 GiB available."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 16777216 kB\nMemAvailable:    8388608 kB\n")
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nmodel name\t: AMD EPYC\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/box\n")
    pci_device(tmp_path, "0000:00:01.0", vendor="0x8086", kind="0x030000")
    return tmp_path


def pci_device(root, address, vendor, kind):
    device = root / "sys/bus/pci/devices" / address
    device.mkdir(parents=True)
    (device / "vendor").write_text(vendor + "\n")
    (device / "class").write_text(kind + "\n")


def test_auto_takes_the_gpu_that_answers(machine):
    assert hardware.detect("auto", root=machine, query=answers) == H100


def test_auto_takes_the_cpu_on_a_machine_without_nvidia_hardware(machine):
    found = hardware.detect("auto", root=machine, query=fails)
    assert (found.kind, found.name, found.memory_bytes) == ("cpu", "AMD EPYC", 8 * 1024**3)


@pytest.mark.parametrize("sign", ["pci", "proc", "dev"])
def test_auto_refuses_the_cpu_where_an_nvidia_gpu_is_there_but_silent(machine, sign):
    if sign == "pci":
        pci_device(machine, "0000:17:00.0", vendor="0x10de", kind="0x030200")
    elif sign == "proc":
        (machine / "proc/driver/nvidia").mkdir(parents=True)
    else:
        (machine / "dev").mkdir()
        (machine / "dev/nvidiactl").touch()
    with pytest.raises(HardwareMissing, match=r"does not answer.*Driver Not Loaded") as caught:
        hardware.detect("auto", root=machine, query=fails)
    assert "APPLIANCE_ENGINE__DEVICE=cpu" in caught.value.remedy


def test_nvidia_audio_function_alone_is_no_gpu(machine):
    pci_device(machine, "0000:17:00.1", vendor="0x10de", kind="0x040300")
    assert hardware.detect("auto", root=machine, query=fails).kind == "cpu"


def test_cuda_refuses_a_machine_without_gpu(machine):
    with pytest.raises(HardwareMissing):
        hardware.detect("cuda", root=machine, query=fails)


def test_cpu_on_purpose_never_asks_nvml(machine):
    def must_not():
        raise AssertionError

    assert hardware.detect("cpu", root=machine, query=must_not).kind == "cpu"


@pytest.mark.parametrize(
    ("files", "expected_gib"),
    [
        ({}, 8),
        ({"box/memory.max": "max", "box/memory.current": "0"}, 8),
        ({"box/memory.max": str(3 * 1024**3), "box/memory.current": str(1024**3)}, 2),
        ({"box/memory.max": str(1024**3), "box/memory.current": str(2 * 1024**3)}, 0),
    ],
)
def test_control_group_limits_the_memory_there_is(machine, files, expected_gib):
    for name, content in files.items():
        path = machine / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    assert hardware.available_host_bytes(machine) == expected_gib * 1024**3


def test_version_one_control_group_limits_the_memory_too(machine):
    (machine / "proc/self/cgroup").write_text("4:cpu,memory:/unit\n0::/\n")
    group = machine / "sys/fs/cgroup/memory/unit"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text(str(4 * 1024**3))
    (group / "memory.usage_in_bytes").write_text(str(1024**3))
    assert hardware.available_host_bytes(machine) == 3 * 1024**3


class FakeNvml(types.ModuleType):
    """pynvml with one H100, values as an H100 gave them; or one that fails in a named call."""

    def __init__(self, fails_in="", count=1):
        super().__init__("pynvml")
        self.NVMLError = type("NVMLError", (Exception,), {})
        self.open = 0
        values = {
            "nvmlDeviceGetCount": count,
            "nvmlDeviceGetHandleByIndex": "handle",
            "nvmlDeviceGetCudaComputeCapability": (9, 0),
            "nvmlDeviceGetName": "NVIDIA H100 80GB HBM3",
            "nvmlDeviceGetMemoryInfo": types.SimpleNamespace(total=81_559 * hardware.MIB),
            "nvmlSystemGetDriverVersion": "580.159.04",
            "nvmlInit": None,
            "nvmlShutdown": None,
        }
        for name, value in values.items():
            setattr(self, name, self.call(name, value, fails_in))

    def call(self, name, value, fails_in):
        def answer(*_args):
            if name == fails_in:
                raise self.NVMLError("GPU is lost")
            self.open += {"nvmlInit": 1, "nvmlShutdown": -1}.get(name, 0)
            return value

        return answer


def test_nvml_is_read_and_closed_again(monkeypatch):
    nvml = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert hardware.query_nvml() == H100
    assert nvml.open == 0


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo"])
def test_any_failing_nvml_call_is_missing_hardware(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(fails_in=call))
    with pytest.raises(HardwareMissing, match="GPU is lost"):
        hardware.query_nvml()


def test_driver_without_a_gpu_is_missing_hardware(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(count=0))
    with pytest.raises(HardwareMissing, match="no GPU"):
        hardware.query_nvml()
