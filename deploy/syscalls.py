"""Writes ``deploy/seccomp/*.json``: what the system call rules of the units are, as container runtimes take them.

``python -m deploy.syscalls`` needs ``systemd-analyze`` of systemd 252 (Debian
12's), which knows the sets that the units name. The rules about arguments follow systemd's own
(``src/shared/seccomp-util.c``, v252), so that a process meets the same errors:
EPERM, for an address family EAFNOSUPPORT, and ENOSYS for what hides the
arguments in question behind a pointer, so that libraries take the older call.
"""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
UNITS = ROOT / "systemd"
PROFILES = ROOT / "deploy" / "seccomp"
#: The service of the compose file that a profile is named after, and its unit.
SERVICES = {
    "engine": "appliance-engine",
    "gateway": "appliance-gateway",
    "exporter": "appliance-exporter",
    "backup": "appliance-backup",
}
#: What a container needs beyond its unit: nobody hands the exporter its listening socket.
FURTHER_FAMILIES = {"exporter": ("AF_INET",)}
SYSTEMD = 252

Rule = dict[str, Any]
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
# sched(7), clone(2), inode(7), mman(2), shmat(2), open(2) on x86-64.
_NAMESPACES = 0x7E020000
_ORDINARY_POLICIES = (0, 3, 5)
_SXID = 0o6000
_CREATE = 0o100
_WRITE, _EXEC = 2, 4
_SHM_EXEC = 0o100000
#: Position of the mode among the arguments; of mode and flags, for calls that look at the mode with O_CREAT only.
_MODES = {
    "chmod": 1,
    "fchmod": 1,
    "fchmodat": 2,
    "fchmodat2": 2,
    "mkdir": 1,
    "mkdirat": 2,
    "mknod": 1,
    "mknodat": 2,
    "creat": 1,
}
_OPENS = {"open": (2, 1), "openat": (3, 2)}


def sets() -> dict[str, tuple[str, ...]]:
    """The sets of system calls by name, as systemd prints them; members may be sets.

    Raises:
        RuntimeError: it is not systemd 252.
    """
    version = subprocess.check_output(["systemd-analyze", "--version"], text=True)
    if version.split()[:2] != ["systemd", str(SYSTEMD)]:
        raise RuntimeError(f"The units are held to systemd {SYSTEMD}, this is {' '.join(version.split()[:2])}.")
    text = subprocess.check_output(["systemd-analyze", "--no-pager", "syscall-filter"], text=True)
    found: dict[str, tuple[str, ...]] = {}
    # What follows the sets is about the kernel that runs here.
    for block in re.split(r"\n\n(?=@)", text.split("\n# ")[0]):
        name, *members = [line.strip() for line in block.strip().splitlines() if "#" not in line]
        found[name] = tuple(members)
    return found


def expand(name: str, known: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The system calls of a set, those of the sets in it included."""
    if not name.startswith("@"):
        return {name}
    return {call for member in known[name] for call in expand(member, known)}


def directives(unit: str) -> list[tuple[str, str]]:
    """Name and value of every line of a unit."""
    text = (UNITS / f"{unit}.service").read_text(encoding="utf-8")
    lines = [line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return [(name, value) for name, value in lines]


def profile(service: str, known: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The profile of a service, as the OCI runtime specification has it."""
    lines = directives(SERVICES[service])
    said = dict(lines)
    allowed = _allowed([value for name, value in lines if name == "SystemCallFilter"], known)
    families = [*said["RestrictAddressFamilies"].split(), *FURTHER_FAMILIES.get(service, ())]
    judged = [
        *_sockets(sorted(_FAMILIES[name] for name in families if name != "none")),
        *(rule for name, rules in _JUDGED.items() if said[name] == "yes" for rule in rules()),
    ]
    apart = {name for rule in judged for name in rule["names"]}
    # libseccomp takes no rule that does what the default does.
    judged = [rule for rule in judged if rule.get("errnoRet") != errno.EPERM]
    # A rule about the arguments of a call opens nothing that is not in the sets.
    judged = [
        rule | {"names": kept} for rule in judged if (kept := [name for name in rule["names"] if name in allowed])
    ]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.EPERM,
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": sorted(allowed - apart), "action": "SCMP_ACT_ALLOW"}, *judged],
    }


def write(known: Mapping[str, tuple[str, ...]], directory: Path = PROFILES) -> None:
    """Write every profile."""
    directory.mkdir(exist_ok=True)
    for service in SERVICES:
        text = json.dumps(profile(service, known), indent=1) + "\n"
        (directory / f"{service}.json").write_text(text, encoding="utf-8")


def _allowed(filters: Sequence[str], known: Mapping[str, tuple[str, ...]]) -> set[str]:
    found = expand("@default", known)
    for words in filters:
        calls = {call for word in words.removeprefix("~").split() for call in expand(word, known)}
        found = found - calls if words.startswith("~") else found | calls
    return found


def _sockets(families: Sequence[int]) -> Iterator[Rule]:
    """``RestrictAddressFamilies=``: every family is judged, as the default action has another error."""
    if not families:
        yield _refuse(["socket"], errno.EAFNOSUPPORT)
        return
    first, last = families[0], families[-1]
    yield _refuse(["socket"], errno.EAFNOSUPPORT, _compare(0, "LT", first))
    yield _refuse(["socket"], errno.EAFNOSUPPORT, _compare(0, "GT", last))
    for family in range(first, last + 1):
        condition = _compare(0, "EQ", family)
        if family in families:
            yield _allow(["socket"], condition)
        else:
            yield _refuse(["socket"], errno.EAFNOSUPPORT, condition)


def _namespaces() -> Iterator[Rule]:
    yield _allow(["clone", "unshare"], _masked(0, _NAMESPACES, 0))
    yield _refuse(["clone3"], errno.ENOSYS)
    yield _refuse(["setns"], errno.EPERM)


def _realtime() -> Iterator[Rule]:
    for policy in _ORDINARY_POLICIES:
        yield _allow(["sched_setscheduler"], _compare(1, "EQ", policy))


def _set_id_modes() -> Iterator[Rule]:
    for name, mode in _MODES.items():
        yield _allow([name], _masked(mode, _SXID, 0))
    for name, (mode, flags) in _OPENS.items():
        yield _allow([name], _masked(flags, _CREATE, 0))
        yield _allow([name], _masked(mode, _SXID, 0))
    yield _refuse(["openat2"], errno.ENOSYS)


def _personality() -> Iterator[Rule]:
    yield _allow(["personality"], _compare(0, "EQ", 0))


def _write_and_execute() -> Iterator[Rule]:
    for protection in (0, _WRITE, _EXEC):
        yield _allow(["mmap"], _masked(2, _WRITE | _EXEC, protection))
    yield _allow(["mprotect", "pkey_mprotect"], _masked(2, _EXEC, 0))
    yield _allow(["shmat"], _masked(2, _SHM_EXEC, 0))


_JUDGED: dict[str, Callable[[], Iterator[Rule]]] = {
    "RestrictNamespaces": _namespaces,
    "RestrictRealtime": _realtime,
    "RestrictSUIDSGID": _set_id_modes,
    "LockPersonality": _personality,
    "MemoryDenyWriteExecute": _write_and_execute,
}


def _allow(names: list[str], condition: Rule) -> Rule:
    return {"names": names, "action": "SCMP_ACT_ALLOW", "args": [condition]}


def _refuse(names: list[str], error: int, condition: Rule | None = None) -> Rule:
    rule: Rule = {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error}
    return rule | {"args": [condition]} if condition else rule


def _compare(argument: int, how: str, value: int) -> Rule:
    return {"index": argument, "value": value, "op": f"SCMP_CMP_{how}"}


def _masked(argument: int, mask: int, value: int) -> Rule:
    return {"index": argument, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


if __name__ == "__main__":
    try:
        write(sets())
    except (OSError, RuntimeError) as err:
        sys.exit(f"error: {err}")
