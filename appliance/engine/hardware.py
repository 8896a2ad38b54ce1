"""What this machine has to run the model on: a GPU by NVML, else the CPU, and how much memory.

A GPU that is there but unusable (a driver update, a card that fell off the bus)
must not turn into a silent run on the CPU: the service would look alive and be
a hundred times too slow (ollama issue 15918). So ``auto`` means CPU only on a
machine that shows no NVIDIA hardware at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.errors import HardwareMissing

NVIDIA_VENDOR = "0x10de"
#: PCI base class of display controllers: VGA, 3D controllers and the like (PCI code and ID assignment).
DISPLAY_CLASS = "0x03"
MIB = 1024**2


@dataclass(frozen=True)
class Hardware:
    """The device the model runs on.

    Args:
        kind: ``cuda`` for an NVIDIA GPU, ``cpu`` for the host.
        name: product name for people.
        memory_bytes: the GPU's memory, or what the host has available now.
        compute_capability: CUDA compute capability of the GPU, ``(0, 0)`` for the CPU.
        count: usable devices of this kind; the engine uses the first.
        driver: version of the NVIDIA driver, empty for the CPU.
    """

    kind: Literal["cpu", "cuda"]
    name: str
    memory_bytes: int
    compute_capability: tuple[int, int] = (0, 0)
    count: int = 1
    driver: str = ""


def detect(
    device: Literal["auto", "cuda", "cpu"],
    *,
    root: Path = Path("/"),
    query: Callable[[], Hardware] | None = None,
) -> Hardware:
    """Find the device to use.

    Args:
        device: the setting ``engine.device``.
        root: where ``/sys``, ``/proc`` and ``/dev`` are, for tests.
        query: asks NVML, for tests; raises :class:`HardwareMissing`.

    Raises:
        HardwareMissing: ``cuda`` without a usable GPU, or ``auto`` on a machine whose
            NVIDIA hardware is there but does not answer.
    """
    if device == "cpu":
        return _cpu(root)
    try:
        return (query or query_nvml)()
    except HardwareMissing as missing:
        sign = nvidia_sign(root)
        if device == "cuda":
            raise
        if sign:
            raise HardwareMissing(
                f"This machine has an NVIDIA GPU ({sign}) that does not answer. {missing.message}"
            ) from None
        return _cpu(root)


def query_nvml() -> Hardware:
    """Ask the driver for its first GPU.

    Raises:
        HardwareMissing: no NVML library, no driver, no GPU, or a GPU that is lost.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as err:
        raise HardwareMissing(f"NVML cannot be used: {err}.") from None
    try:
        count = pynvml.nvmlDeviceGetCount()
        if count == 0:
            raise HardwareMissing("The NVIDIA driver shows no GPU.")
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
        return Hardware(
            kind="cuda",
            name=str(pynvml.nvmlDeviceGetName(handle)),
            memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            compute_capability=(int(major), int(minor)),
            count=int(count),
            driver=str(pynvml.nvmlSystemGetDriverVersion()),
        )
    except pynvml.NVMLError as err:
        raise HardwareMissing(f"The GPU does not answer NVML: {err}.") from None
    finally:
        pynvml.nvmlShutdown()


def nvidia_sign(root: Path = Path("/")) -> str:
    """What on this machine shows NVIDIA hardware or its driver; empty if nothing does."""
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        if _text(device / "vendor") == NVIDIA_VENDOR and _text(device / "class").startswith(DISPLAY_CLASS):
            return f"PCI device {device.name}"
    if (root / "proc/driver/nvidia").exists():
        return "/proc/driver/nvidia"
    if any((root / "dev").glob("nvidia*")):
        return "/dev/nvidia*"
    return ""


def available_host_bytes(root: Path = Path("/")) -> int:
    """Memory that programs can still take: the kernel's estimate, or less where a control group limits it.

    Sources: ``MemAvailable`` of proc(5); ``memory.max`` and ``memory.current`` of control
    groups v2, ``memory.limit_in_bytes`` and ``memory.usage_in_bytes`` of v1.
    """
    available = 0
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    groups = root / "sys/fs/cgroup"
    own_v2 = own_v1 = ""
    for line in _text(root / "proc/self/cgroup").splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            own_v2 = path
        elif "memory" in controllers.split(","):
            own_v1 = path
    for group, limit, usage in (
        (groups / own_v2.lstrip("/"), "memory.max", "memory.current"),
        (groups / "memory" / own_v1.lstrip("/"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        ceiling, used = _text(group / limit), _text(group / usage)
        if ceiling.isdigit() and used.isdigit():
            available = min(available, max(0, int(ceiling) - int(used)))
    return available


def _cpu(root: Path) -> Hardware:
    name = "CPU"
    for line in _text(root / "proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return Hardware(kind="cpu", name=name, memory_bytes=available_host_bytes(root))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
