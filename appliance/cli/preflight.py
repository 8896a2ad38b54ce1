"""Reads from this machine what ``core.preflight`` decides on, before a command starts anything."""

from __future__ import annotations

import errno
import importlib.util
import os
import platform
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path

from appliance.core import preflight
from appliance.core.preflight import Machine, Needs, Port
from appliance.errors import PortTaken, SettingsInvalid, StateUnusable
from appliance.settings import Settings

_PROC = Path("/proc")
#: Device files that NVIDIA's driver makes; without one the engine runs on the CPU.
_GPU_FILES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
#: Limit, use and statistics of a container's memory, in the two versions of control groups (cgroups(7)).
_CGROUP = Path("/sys/fs/cgroup")
_CGROUP_FILES = (
    (_CGROUP / "memory.max", _CGROUP / "memory.current", _CGROUP / "memory.stat"),
    (
        _CGROUP / "memory" / "memory.limit_in_bytes",
        _CGROUP / "memory" / "memory.usage_in_bytes",
        _CGROUP / "memory" / "memory.stat",
    ),
)
_FIRST_FREE_PORT = 1024
_PORT, _ADMIN_PORT = "APPLIANCE_GATEWAY__PORT", "APPLIANCE_GATEWAY__ADMIN_PORT"


def check(settings: Settings, needs: Needs) -> Machine:
    """Refuse a machine that cannot run this.

    Returns:
        What was found, to be shown.

    Raises:
        OperatorError: the first thing that stands in the way.
    """
    found = look(settings)
    for refusal in preflight.refusals(found, needs):
        raise refusal
    return found


def look(settings: Settings) -> Machine:
    """The facts about this machine.

    Raises:
        SettingsInvalid: the gateway's address is not one of this machine's.
        PortTaken: the port needs rights that this user lacks.
        StateUnusable: the state directory's place cannot be looked at.
    """
    return Machine(
        python=sys.version_info[:2],
        memory_bytes=_free_memory_bytes(),
        disk_bytes=_free_disk_bytes(settings.state_dir.absolute()),
        ports=_ports(settings),
        has_engine=importlib.util.find_spec("vllm") is not None,
        cpu=platform.machine(),
        cpu_flags=preflight.cpu_flags(_text(_PROC / "cpuinfo")),
    )


def uses_cpu(settings: Settings) -> bool:
    """Whether the engine will run on the CPU, as far as can be told without loading anything."""
    device = settings.engine.device
    return device == "cpu" or (device == "auto" and not any(path.exists() for path in _GPU_FILES))


def _ports(settings: Settings) -> tuple[Port, ...]:
    gateway = settings.gateway
    wanted = [(gateway.host, gateway.port, _PORT), (gateway.admin_host, gateway.admin_port, _ADMIN_PORT)]
    return tuple(
        # Without a host there is no admin listener, and with 0 it takes what is free.
        Port(number, variable, port_holder(host, number, variable))
        for host, number, variable in wanted
        if host and number
    )


def port_holder(host: str, port: int, variable: str = _PORT) -> str | None:
    """Who holds a TCP port: None if it is free, else words for the process.

    Args:
        host: where it is wanted.
        port: its number.
        variable: environment variable that chooses another.

    Raises:
        SettingsInvalid: ``host`` is not an address of this machine.
        PortTaken: the port needs rights that this user lacks.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the gateway will bind it: connections that linger from the last run are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror:
        raise SettingsInvalid(f"The gateway's address {host} is not known here.") from None
    except OSError as err:
        if err.errno == errno.EADDRINUSE:
            return _process_at(port)
        if err.errno == errno.EACCES:
            raise PortTaken(
                f"This user may not listen on port {port}.",
                remedy=f"Choose a port from {_FIRST_FREE_PORT} up with {variable}.",
            ) from None
        raise SettingsInvalid(f"The gateway cannot listen on {host}: {err.strerror}.") from None
    return None


def _process_at(port: int) -> str:
    tables = (_PROC / "net" / "tcp", _PROC / "net" / "tcp6")
    inodes = frozenset[str]().union(*(preflight.listening_inodes(_text(table), port) for table in tables))
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in _PROC.glob("[0-9]*"):
        # Processes of other users cannot be looked into, others end meanwhile.
        with suppress(OSError):
            if any(str(descriptor.readlink()) in wanted for descriptor in (process / "fd").iterdir()):
                return f"{_text(process / 'comm').strip() or 'a process'} (process {process.name})"
    return "another process"


def _free_memory_bytes() -> int:
    limit, used = None, 0
    for limit_file, used_file, statistics in _CGROUP_FILES:
        text = _text(limit_file).strip()
        if text.isdigit():  # "max" means no limit
            limit = int(text)
            used = preflight.used_memory_bytes(_text(used_file), _text(statistics))
            break
    return preflight.available_memory_bytes(_text(_PROC / "meminfo"), limit, used)


def _free_disk_bytes(place: Path) -> int:
    existing = next((path for path in (place, *place.parents) if path.exists()), Path("/"))
    try:
        free = shutil.disk_usage(existing).free
    except OSError as err:
        raise StateUnusable(f"The state directory {place} cannot be looked at: {err.strerror}.") from None
    if not os.access(existing, os.W_OK):
        raise StateUnusable(f"The state directory {place} cannot be written.")
    return free


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
