"""deploy/seccomp is what the units say, and the kernel does with it what systemd would."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from deploy import syscalls
from deploy.syscalls import PROFILES, SERVICES, UNITS

_LIBRARY = ctypes.util.find_library("seccomp")
_COMPARISONS = {"LT": 2, "EQ": 4, "GT": 6, "MASKED_EQ": 7}
_LIBC = ctypes.CDLL(None, use_errno=True)
#: Of x86-64.
_NUMBERS = {
    "socket": 41,
    "clone": 56,
    "unshare": 272,
    "setns": 308,
    "clone3": 435,
    "personality": 135,
    "mmap": 9,
    "mprotect": 10,
    "fchmod": 91,
    "openat": 257,
    "openat2": 437,
    "mount": 165,
    "ptrace": 101,
    "chroot": 161,
    "clock_settime": 227,
    "syslog": 103,
    "sethostname": 170,
    "sched_setscheduler": 144,
    "sched_setaffinity": 203,
    "getpid": 39,
}


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def profile(service: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((PROFILES / f"{service}.json").read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def known() -> Mapping[str, tuple[str, ...]]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    try:
        return syscalls.sets()
    except RuntimeError as err:
        pytest.skip(str(err))


def load(rules: Mapping[str, Any]) -> None:
    """Put this process under a profile as a container runtime does, by libseccomp."""
    library = ctypes.CDLL(_LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    )
    library.seccomp_load.argtypes = (ctypes.c_void_p,)
    actions = {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_ERRNO": 0x00050000}
    context = library.seccomp_init(actions[rules["defaultAction"]] | rules["defaultErrnoRet"])
    for rule in rules["syscalls"]:
        conditions = [
            _Comparison(
                one["index"], _COMPARISONS[one["op"].removeprefix("SCMP_CMP_")], one["value"], one.get("valueTwo", 0)
            )
            for one in rule.get("args", [])
        ]
        array = (_Comparison * len(conditions))(*conditions)
        action = actions[rule["action"]] | rule.get("errnoRet", 0)
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            # Names of other architectures and of newer kernels.
            if number >= 0:
                status = library.seccomp_rule_add_array(context, action, number, len(conditions), array)
                assert status == 0, (name, rule, status)
    # The library sets no_new_privs first, without which root's rights would be needed.
    assert library.seccomp_load(context) == 0


def outcomes(service: str, calls: Mapping[str, tuple[Any, ...]]) -> dict[str, str]:
    """What becomes of each call under the profile of a service, in a process of its own: ``ok`` or the error's name."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            load(profile(service))
            os.write(writing, json.dumps({name: _tried(*call) for name, call in calls.items()}).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        text = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    told: dict[str, str] = json.loads(text)
    return told


def _tried(name: str, *arguments: int) -> str:
    ctypes.set_errno(0)
    result = _LIBC.syscall(ctypes.c_long(_NUMBERS[name]), *(ctypes.c_long(argument) for argument in arguments))
    return "ok" if result != -1 else errno.errorcode[ctypes.get_errno()]


needs_library = pytest.mark.skipif(
    _LIBRARY is None or os.uname().machine != "x86_64", reason="needs libseccomp, x86-64"
)


@pytest.mark.parametrize("service", SERVICES)
def test_profiles_are_what_the_units_say(service: str, known: Mapping[str, tuple[str, ...]]) -> None:
    assert profile(service) == syscalls.profile(service, known)


def test_profile_changes_with_the_unit(
    known: Mapping[str, tuple[str, ...]], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(UNITS, tmp_path / "units")
    monkeypatch.setattr(syscalls, "UNITS", tmp_path / "units")
    unit = tmp_path / "units" / "appliance-gateway.service"
    whole = unit.read_text()
    for line in (
        "SystemCallFilter=@system-service\n",
        "MemoryDenyWriteExecute=yes\n",
        "RestrictNamespaces=yes\n",
        "RestrictSUIDSGID=yes\n",
        "LockPersonality=yes\n",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n",
    ):
        name = line.split("=")[0]
        changed = f"{name}=no\n" if "=yes" in line else f"{name}={'@default' if '@' in line else 'AF_UNIX'}\n"
        assert line in whole
        unit.write_text(whole.replace(line, changed))
        assert syscalls.profile("gateway", known) != profile("gateway"), name


def test_another_systemd_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "check_output", lambda *_, **__: "systemd 257 (257.1)\n")
    with pytest.raises(RuntimeError, match="held to systemd 252, this is systemd 257"):
        syscalls.sets()


def test_files_are_written_for_every_service(known: Mapping[str, tuple[str, ...]], tmp_path: Any) -> None:
    syscalls.write(known, tmp_path / "seccomp")
    assert {path.stem for path in (tmp_path / "seccomp").iterdir()} == set(SERVICES)
    assert {path.stem for path in PROFILES.iterdir()} == set(SERVICES)


@needs_library
@pytest.mark.parametrize(
    ("service", "families"),
    [("engine", "UNIX INET NETLINK"), ("gateway", "UNIX INET INET6"), ("exporter", "UNIX INET"), ("backup", "")],
)
def test_sockets_are_of_the_families_named(service: str, families: str) -> None:
    numbers = {"UNIX": 1, "INET": 2, "INET6": 10, "NETLINK": 16, "PACKET": 17, "ALG": 38, "VSOCK": 40}
    told = outcomes(service, {name: ("socket", number, 2, 0) for name, number in numbers.items()})
    allowed = {name for name, error in told.items() if error not in ("EAFNOSUPPORT", "EPERM")}
    assert allowed == set(families.split())
    assert {told[name] for name in numbers.keys() - allowed} == {"EAFNOSUPPORT"}


@needs_library
@pytest.mark.parametrize("service", SERVICES)
def test_what_the_units_refuse_is_refused(service: str) -> None:
    calls = {
        "new user namespace": ("unshare", 0x10000000),
        "another namespace": ("setns", 0, 0),
        "clone3": ("clone3", 0, 0),
        "another personality": ("personality", 0x0040000),
        "set-user-ID": ("fchmod", 99, 0o4755),
        "create set-group-ID": ("openat", -100, 0, 0o100, 0o2644),
        "openat2": ("openat2", -100, 0, 0, 0),
        **{
            name: (name, 0, 0, 0, 0) for name in ("mount", "ptrace", "chroot", "clock_settime", "syslog", "sethostname")
        },
    }
    told = outcomes(service, calls)
    assert {name: error for name, error in told.items() if error != "EPERM"} == {
        "clone3": "ENOSYS",
        "openat2": "ENOSYS",
    }


@needs_library
@pytest.mark.parametrize("service", SERVICES)
def test_ordinary_calls_pass(service: str) -> None:
    calls = {
        "getpid": ("getpid",),
        "unshare files": ("unshare", 0x400),
        "personality": ("personality", 0),
        "mmap": ("mmap", 0, 4096, 3, 0x22, -1, 0),
    }
    told = outcomes(service, calls)
    assert set(told.values()) == {"ok"}
    # An error of the kernel's own: the calls were let through.
    errors = outcomes(service, {"mode": ("fchmod", 99, 0o640), "open": ("openat", -100, 0, 0, 0o7777)})
    assert errors == {"mode": "EBADF", "open": "EFAULT"}


@needs_library
@pytest.mark.parametrize(("service", "outcome"), [("engine", "ok"), ("gateway", "EPERM"), ("exporter", "EPERM")])
def test_code_is_written_and_run_in_the_engine_alone(service: str, outcome: str) -> None:
    told = outcomes(service, {"mmap": ("mmap", 0, 4096, 7, 0x22, -1, 0)})
    assert told == {"mmap": outcome}


@needs_library
def test_engine_pins_threads_and_gets_no_real_time() -> None:
    calls = {"affinity": ("sched_setaffinity", 0, 0, 0), "fifo": ("sched_setscheduler", 0, 1, 0)}
    assert outcomes("engine", calls) == {"affinity": "EINVAL", "fifo": "EPERM"}
    assert outcomes("gateway", calls) == {"affinity": "EPERM", "fifo": "EPERM"}
