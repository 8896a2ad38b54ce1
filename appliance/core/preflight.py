"""Whether a machine can run the appliance, decided before anything is started.

Facts come in as values (``cli.preflight`` reads them); a refusal goes out as
the error to show. Checking first is what turns a killed engine after a minute
of loading into one clear line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.errors import (
    EngineMissing,
    HardwareMissing,
    NotEnoughDisk,
    NotEnoughMemory,
    OperatorError,
    PortTaken,
    PythonTooOld,
)

OLDEST_PYTHON = (3, 11)
#: Three vLLM processes on the CPU hold 3.5 GB with this model, 1 GB of KV cache included; the rest is room to load.
DEMO_MEMORY_BYTES = 5 * 10**9
#: Wheel 93 MB, GGUF 98 MB, safetensors 269 MB, with both an old and a new copy for a moment, logs and databases.
FRESH_DISK_BYTES = 2 * 10**9
#: Logs and databases only, once the model is prepared.
PREPARED_DISK_BYTES = 200 * 10**6
_LISTEN = "0A"  # TCP_LISTEN in include/net/tcp_states.h


@dataclass(frozen=True)
class Port:
    """A port that is wanted.

    Args:
        number: the TCP port.
        variable: environment variable that chooses another.
        holder: None if it is free, else words for the process that has it.
    """

    number: int
    variable: str
    holder: str | None = None


@dataclass(frozen=True)
class Machine:
    """What was found on this machine.

    Args:
        python: version of the running interpreter.
        memory_bytes: what a new process may still take.
        disk_bytes: free space where the state directory is or will be.
        ports: each port that is wanted.
        has_engine: whether vLLM is installed beside this command.
        cpu: architecture as ``uname -m`` gives it.
        cpu_flags: from ``/proc/cpuinfo``, empty if it does not tell.
    """

    python: tuple[int, int]
    memory_bytes: int
    disk_bytes: int
    ports: tuple[Port, ...] = ()
    has_engine: bool = True
    cpu: str = "x86_64"
    cpu_flags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Needs:
    """What the command is going to take.

    Args:
        memory_bytes: free memory.
        disk_bytes: free disk space.
        cpu_engine: whether the engine will run on the CPU.
    """

    memory_bytes: int = DEMO_MEMORY_BYTES
    disk_bytes: int = FRESH_DISK_BYTES
    cpu_engine: bool = True


def refusals(machine: Machine, needs: Needs) -> Iterator[OperatorError]:
    """Everything that stands in the way, what takes longest to mend first."""
    if machine.python < OLDEST_PYTHON:
        found, wanted = (".".join(map(str, version)) for version in (machine.python, OLDEST_PYTHON))
        yield PythonTooOld(f"This is Python {found}; the appliance needs {wanted} or later.")
    if not machine.has_engine:
        yield EngineMissing()
    if needs.cpu_engine and machine.cpu == "x86_64" and machine.cpu_flags and "avx2" not in machine.cpu_flags:
        yield HardwareMissing(
            "This processor has no AVX2, which vLLM needs on a CPU.",
            remedy="Run it on a machine with an Intel or AMD processor from 2015 or later, or with a GPU.",
        )
    if machine.memory_bytes < needs.memory_bytes:
        yield NotEnoughMemory(
            f"{gigabytes(machine.memory_bytes)} of memory are free; the model needs {gigabytes(needs.memory_bytes)}.",
            remedy="Close other programs, or run it on a machine with more memory.",
        )
    if machine.disk_bytes < needs.disk_bytes:
        yield NotEnoughDisk(
            f"{gigabytes(machine.disk_bytes)} of disk space are free; the model needs {gigabytes(needs.disk_bytes)}.",
        )
    for port in machine.ports:
        if port.holder is not None:
            yield PortTaken(
                f"Port {port.number} is taken by {port.holder}.",
                remedy=f"Stop that process, or choose another port with {port.variable}.",
            )


def available_memory_bytes(meminfo: str, limit_bytes: int | None = None, used_bytes: int = 0) -> int:
    """What a new process may still take.

    Args:
        meminfo: text of ``/proc/meminfo``.
        limit_bytes: memory limit of this control group (a container's), None without one.
        used_bytes: what the control group uses already.
    """
    available = 0
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            available = int(rest.split()[0]) * 1024
    return available if limit_bytes is None else min(available, max(0, limit_bytes - used_bytes))


def used_memory_bytes(usage: str, statistics: str) -> int:
    """What a control group holds and could not give back: its use less the file cache that is idle.

    Args:
        usage: text of ``memory.current`` or ``memory.usage_in_bytes``.
        statistics: text of its ``memory.stat``.
    """
    counted = dict(line.split(maxsplit=1) for line in statistics.splitlines() if " " in line)
    idle = int(counted.get("total_inactive_file", counted.get("inactive_file", 0)))
    return max(0, int(usage.strip() or 0) - idle)


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """The ``flags`` of the first processor in the text of ``/proc/cpuinfo``."""
    for line in cpuinfo.splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == "flags":
            return frozenset(rest.split())
    return frozenset()


def listening_inodes(table: str, port: int) -> frozenset[str]:
    """Inodes of the sockets that listen on ``port``.

    Args:
        table: text of ``/proc/net/tcp`` or ``tcp6`` (proc(5)): local address in column 1, state in 3, inode in 9.
        port: TCP port.
    """
    found = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 9 and columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
            found.add(columns[9])
    return frozenset(found)


def gigabytes(count: int) -> str:
    """A number of bytes as people say it: ``3.5 GB``, ``98 MB``."""
    return f"{count / 10**9:.1f} GB" if count >= 10**9 else f"{count / 10**6:.0f} MB"
