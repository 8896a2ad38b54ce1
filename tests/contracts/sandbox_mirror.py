"""What stands in deploy/compose.yaml for each directive of the units: which lines, what the container runtime does
unasked, and what is weaker.

A line of a service is written as ``key: value``, nested keys joined by dots, an
item of a list as its own line: ``cap_drop: ALL``, ``ulimits.core: 0``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = ROOT / "systemd"
#: The services of the compose file that mirror a unit.
SERVICES = {name: f"appliance-{name}" for name in ("engine", "gateway", "exporter", "backup")}
#: Users and groups of the units in the image. A backup is made by the gateway's user (WEAKER says why).
NUMBERS = {
    "appliance": 10000,
    "appliance-engine": 10001,
    "appliance-gateway": 10002,
    "appliance-exporter": 10003,
    "appliance-backup": 10002,
}
PROGRAM = "/opt/appliance/venv/bin/"
ENGINE_MEMORY = "${APPLIANCE_ENGINE_MEMORY:-0}"
TMP = "tmpfs: /tmp:rw,noexec,nosuid,nodev,size=256m,mode=1777"


@dataclass(frozen=True)
class Directive:
    """A line of a unit's ``[Service]`` or ``[Socket]`` section, and the service of the compose file it is for."""

    service: str
    name: str
    value: str


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Knows the tags with which a compose file takes back or replaces what the file before it says."""


_Loader.add_constructor("!reset", lambda *_: None)


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    """A compose file; what it resets is None."""
    document: dict[str, Any] = yaml.load((DEPLOY / name).read_text(encoding="utf-8"), _Loader)  # noqa: S506
    return document


def directives(service: str) -> list[Directive]:
    """What the unit of a service says about the process, and where its socket unit listens."""
    found = []
    for path in (UNITS / f"{SERVICES[service]}.service", UNITS / f"{SERVICES[service]}.socket"):
        section = ""
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            if line.startswith("["):
                section = line.strip("[]")
            elif "=" in line and not line.startswith("#") and section in ("Service", "Socket"):
                name, value = line.split("=", 1)
                found.append(Directive(service, name, value))
    return found


def lines(value: Any, key: str = "") -> Iterator[str]:
    """A service as lines; a command stays in one."""
    if isinstance(value, Mapping):
        if "target" in value:
            mode = ":ro" if value.get("read_only") else ""
            yield f"{key}: {value['source']}:{value['target']}{mode}"
            return
        for name, inner in value.items():
            yield from lines(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and key.rpartition(".")[2] in ("command", "test"):
        yield f"{key}: {' '.join(map(str, value))}"
    elif isinstance(value, list):
        for inner in value:
            yield from lines(inner, key)
    else:
        yield f"{key}: {str(value).lower() if isinstance(value, bool) else value}"


Lines = Callable[[Directive, Mapping[str, str]], set[str]]


def _of(*there: str) -> Lines:
    """The same lines whatever the value."""
    return lambda *_: set(there)


def _where(**there: str) -> Lines:
    """A line for each value; none for a value that is not named."""
    return lambda line, _: {there[line.value]} if line.value in there else set()


def _seccomp(line: Directive, _: Mapping[str, str]) -> set[str]:
    return {f"security_opt: seccomp:seccomp/{line.service}.json"}


def _bytes(text: str) -> str:
    return ENGINE_MEMORY if text.endswith("%") else text.lower()


def _seconds(text: str) -> str:
    return text if text[-1].isalpha() else f"{text}s"


def _user(line: Directive, said: Mapping[str, str]) -> set[str]:
    return {f"user: {NUMBERS[said['User']]}:{NUMBERS[said['Group']]}"}


def _groups(line: Directive, said: Mapping[str, str]) -> set[str]:
    groups = {NUMBERS[name] for name in line.value.split()} - {NUMBERS[said["Group"]]}
    return {f"group_add: {number}" for number in groups}


def _devices(line: Directive, _: Mapping[str, str]) -> set[str]:
    key = "deploy.resources.reservations.devices"
    return {f"{key}.driver: nvidia", *(f"{key}.capabilities: {name}" for name in GPU_CAPABILITIES[line.value])}


#: What the NVIDIA container toolkit calls the use that needs a device node.
GPU_CAPABILITIES = {
    "char-nvidia rw": ("gpu",),
    "char-nvidia-frontend rw": ("gpu",),
    "char-nvidia-uvm rw": ("compute",),
    "char-nvidia-caps r": ("utility",),
}
_VOLUMES = {
    "/var/lib/appliance": "state:/var/lib/appliance",
    "/var/lib/appliance/upkeep": "upkeep:/var/lib/appliance/upkeep",
}

#: What is mirrored, and by which lines.
MIRRORED: dict[str, Lines] = {
    # The process
    "Type": lambda line, _: (
        {f"healthcheck.test: CMD appliance ready {line.service}"} if line.value == "notify" else {"restart: no"}
    ),
    "ExecStart": lambda line, _: {f"command: {line.value.removeprefix(PROGRAM + 'appliance ')}"},
    "User": _user,
    "Group": _user,
    "SupplementaryGroups": _groups,
    "WatchdogSec": lambda line, _: {f"healthcheck.interval: {_seconds(line.value)}"},
    "Restart": lambda line, _: {f"restart: {line.value}"},
    "TimeoutStopSec": lambda line, _: {f"stop_grace_period: {_seconds(line.value)}"},
    # Limits
    "OOMScoreAdjust": lambda line, _: {f"oom_score_adj: {line.value}"},
    "MemoryMax": lambda line, _: {f"mem_limit: {_bytes(line.value)}"},
    # Memory and swap together, so that the same number leaves none for swap.
    "MemorySwapMax": lambda line, said: {f"memswap_limit: {_bytes(said['MemoryMax'])}"} if line.value == "0" else set(),
    "TasksMax": lambda line, _: {f"pids_limit: {line.value}"},
    "LimitNOFILE": lambda line, _: {f"ulimits.nofile: {line.value}"},
    "LimitCORE": lambda line, _: {f"ulimits.core: {line.value}"},
    # Network
    "PrivateNetwork": lambda line, _: (
        {"network_mode: none"} if line.value == "yes" and line.service != "exporter" else set()
    ),
    "IPAddressDeny": lambda line, _: (
        {"dns: 127.0.0.1"} if line.service in ("gateway", "exporter") else {"network_mode: none"}
    ),
    # The gateway is published to the addresses that its unit lets in: this machine, unless told otherwise.
    "IPAddressAllow": lambda line, _: (
        {"ports: ${APPLIANCE_PUBLISH:-127.0.0.1:8080}:8080"} if line.service == "gateway" else set()
    ),
    "ListenStream": lambda line, _: {f"ports: {line.value}:{line.value.rpartition(':')[2]}"},
    # Devices
    "DeviceAllow": _devices,
    # Files
    "RuntimeDirectory": lambda line, _: {f"volumes: socket:/run/{line.value}"},
    "RuntimeDirectoryPreserve": _of("volumes: socket:/run/appliance"),
    "StateDirectory": lambda line, _: {f"volumes: cache:/var/lib/{line.value}"},
    "ProtectSystem": _where(strict="read_only: true"),
    "ReadWritePaths": lambda line, _: {f"volumes: {_VOLUMES[path]}" for path in line.value.split()},
    "PrivateTmp": _where(yes=TMP),
    "NoExecPaths": _of(TMP),
    # Rights
    "NoNewPrivileges": _where(yes="security_opt: no-new-privileges:true"),
    "CapabilityBoundingSet": _of("cap_drop: ALL"),
    "AmbientCapabilities": _of("cap_drop: ALL"),
    "ProtectKernelModules": _where(yes="cap_drop: ALL"),
    "ProtectKernelLogs": _where(yes="cap_drop: ALL"),
    "ProtectClock": _where(yes="cap_drop: ALL"),
    "ProtectHostname": _where(yes="cap_drop: ALL"),
    "PrivateIPC": _where(yes="ipc: private"),
    "RemoveIPC": _where(yes="ipc: private"),
    **dict.fromkeys(
        (
            "LockPersonality",
            "MemoryDenyWriteExecute",
            "RestrictAddressFamilies",
            "RestrictNamespaces",
            "RestrictRealtime",
            "RestrictSUIDSGID",
            "SystemCallArchitectures",
            "SystemCallErrorNumber",
            "SystemCallFilter",
        ),
        _seccomp,
    ),
}
#: What every container has, or what the absence of a line does; that no service has a line that takes it back is held
#: by the comparison of all lines.
UNASKED = {
    "TimeoutStartSec": "a container that is starting is waited for as long as it takes",
    "ExecReload": "docker compose kill -s HUP gateway",
    "KillMode": "the stop signal goes to the first process alone, the kill after the grace period to all",
    "RuntimeDirectoryMode": "an option of the volume",
    "StateDirectoryMode": "the mode of the image's directory, which a new volume takes over",
    "ReadOnlyPaths": "not mounted",
    "InaccessiblePaths": "not mounted",
    "PrivateMounts": "mounts are a container's own",
    "PrivateDevices": "no device nodes but null, zero, full, random, urandom, tty and those of the reservation",
    "DevicePolicy": "the same",
    "ProtectHome": "no directory of the host is mounted but those named",
    "ProtectProc": "processes are numbered in a namespace of the container's own",
    "ProcSubset": "all of /proc, less what the runtime hides",
    "ProtectKernelTunables": "/proc/sys and /sys are read-only",
    "ProtectControlGroups": "/sys/fs/cgroup is read-only",
    "KeyringMode": "the runtime joins each container to a new session keyring",
    "LoadCredential": "compose.tls.yaml",
    "Environment": "compose.tls.yaml",
    "PrivateUsers": "no, for the unit's capability to count; without the capability nothing hangs on it",
}
#: What is less strong or less exact in a container; docs/container.md has the reason for each.
WEAKER = {
    "engine": {"MemoryMax", "PrivateUsers", "RestartSec", "UMask", "WatchdogSec"},
    "gateway": {"IPAddressDeny", "NoExecPaths", "PrivateUsers", "ProcSubset", "RestartSec", "UMask", "WatchdogSec"},
    "exporter": {
        "IPAddressDeny",
        "PrivateNetwork",
        "PrivateUsers",
        "RestartSec",
        "RestrictAddressFamilies",
        "UMask",
        "WatchdogSec",
    },
    "backup": {
        "Group",
        "IOSchedulingClass",
        "Nice",
        "NoExecPaths",
        "ProcSubset",
        "TimeoutStartSec",
        "UMask",
        "User",
    },
}
_ENGINE_ALONE = {
    "KillMode",
    "RuntimeDirectory",
    "RuntimeDirectoryMode",
    "RuntimeDirectoryPreserve",
    "StateDirectory",
    "StateDirectoryMode",
}
_GATEWAY_ALONE = {"Environment", "ExecReload", "LoadCredential", "ReadOnlyPaths"}
#: Of all that the tables name, what a unit does not say.
UNSAID = {
    "engine": _GATEWAY_ALONE | {"InaccessiblePaths", "ListenStream", "ReadWritePaths", "SupplementaryGroups"},
    "gateway": _ENGINE_ALONE | {"DeviceAllow", "ListenStream", "TimeoutStartSec"},
    "exporter": _ENGINE_ALONE | _GATEWAY_ALONE | {"OOMScoreAdjust", "ReadWritePaths", "TimeoutStartSec"},
    "backup": _ENGINE_ALONE
    | _GATEWAY_ALONE
    | {"DeviceAllow", "IPAddressAllow", "ListenStream", "OOMScoreAdjust", "Restart", "RestartSec"}
    | {"TimeoutStopSec", "WatchdogSec"},
}
#: Directives that stand on more than one line.
SEVERAL = {
    "engine": {"DeviceAllow": 4, "SystemCallFilter": 2},
    "gateway": {"SystemCallFilter": 2},
    "exporter": {"DeviceAllow": 3, "IPAddressDeny": 2, "SystemCallFilter": 2},
    "backup": {"SystemCallFilter": 2},
}
_ALL = frozenset(SERVICES)
_DAEMONS = _ALL - {"backup"}
_GPU = "deploy.resources.reservations.devices"
_PATHS = _ALL - {"exporter"}
#: Lines that stand for no directive: where they stand, and what for.
OWN: dict[str, tuple[frozenset[str], str]] = {
    "image: ${APPLIANCE_IMAGE:-appliance:gpu}": (_ALL, "the program; on a host a directory below /opt/appliance"),
    "pull_policy: never": (_ALL, "an image is brought by a person, as a kit is"),
    "init: true": (_ALL, "what PID 1 of a host does: signals, orphans"),
    "logging.driver: json-file": (_ALL, "journald"),
    "logging.options.max-size: 20m": (_ALL, "journald's own limit"),
    "logging.options.max-file: 5": (_ALL, "journald's own limit"),
    "volumes: ${APPLIANCE_SETTINGS:-./appliance.toml}:/etc/appliance/appliance.toml:ro": (_ALL, "a host has the file"),
    "volumes: ${APPLIANCE_TRUST:-./trust}:/etc/appliance/trust:ro": (frozenset({"engine", "backup"}), "the same"),
    "volumes: models:/var/lib/appliance:ro": (frozenset({"engine"}), "a host has the directory"),
    "volumes: socket:/run/appliance:ro": (frozenset({"gateway"}), "a host has the directory"),
    "volumes: state:/var/lib/appliance:ro": (frozenset({"backup"}), "a host has the directory"),
    "volumes: ${APPLIANCE_BACKUPS:-./backups}:/var/backups/appliance": (
        frozenset({"backup"}),
        "the drop-in directory.conf that the playbook writes",
    ),
    "environment.APPLIANCE_STATE_DIR: /var/lib/appliance": (_PATHS, "where the volumes are"),
    "environment.APPLIANCE_ENGINE__SOCKET_PATH: /run/appliance/engine.sock": (_PATHS, "where the volume is"),
    "environment.APPLIANCE_BUNDLES__TRUSTED_KEYS_DIR: /etc/appliance/trust": (_PATHS, "where they are mounted"),
    "environment.APPLIANCE_BUNDLES__REQUIRE_SIGNATURE: true": (_PATHS, "as the playbook sets it"),
    "environment.APPLIANCE_BACKUP__DIRECTORY: /var/backups/appliance": (frozenset({"backup"}), "where it is mounted"),
    "environment.APPLIANCE_ENGINE__DEVICE: cuda": (frozenset({"engine"}), "as the playbook sets it"),
    "environment.APPLIANCE_GATEWAY__HOST: 0.0.0.0": (frozenset({"gateway"}), "the container's; `ports` says whose"),
    "environment.APPLIANCE_GATEWAY__PORT: 8080": (frozenset({"gateway"}), "the container's; `ports` says which"),
    "environment.APPLIANCE_EXPORTER__HOST: 0.0.0.0": (frozenset({"exporter"}), "the container's"),
    "environment.APPLIANCE_EXPORTER__PORT: 9400": (frozenset({"exporter"}), "the container's"),
    "networks: front": (frozenset({"gateway"}), "a host has its network"),
    "networks: telemetry": (frozenset({"exporter"}), "no service manager hands it its listening socket"),
    f"{_GPU}.count: 1": (frozenset({"engine"}), "a profile is for one GPU"),
    f"{_GPU}.count: all": (frozenset({"exporter"}), "every GPU has a temperature"),
    "shm_size: 1g": (frozenset({"engine"}), "a container has 64 MB unless told, a host half of its memory"),
    "healthcheck.timeout: 10s": (_DAEMONS, "longer than the command's own deadline"),
    "healthcheck.start_period: 15m": (frozenset({"engine", "gateway"}), "engine.startup_timeout_seconds"),
    "healthcheck.start_period: 30s": (frozenset({"exporter"}), "it is there at once"),
    "profiles: backup": (frozenset({"backup"}), "a command, not a daemon; on a host a timer starts it"),
}
