"""A machine that the real playbook installs from a real kit, once for all tests of it.

Left out of every other run: `make test-host` sets HOST_TESTS. HOST_KIT names a
kit that is there already; HOST_VARIANT=gateway makes one without the engine,
with which the tests that need a model are skipped; HOST_RELEASE=debian-13 makes
it for that release, without the engine. The machine runs what the kit is for.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host

from deploy.kit import seal
from tests.host import machine as machines
from tests.host.client import Client
from tests.host.machine import ADDRESS, CACHE, KIT_PLACE, PREFIX, ROOT, Machine, Result

if not os.environ.get("HOST_TESTS"):
    collect_ignore_glob = ["test_*.py"]

ORDER = [
    "test_refusals",
    "test_installed",
    "test_accounts",
    "test_lynis",
    "test_evidence",
    "test_monitoring",
    "test_backup",
    "test_life",
    "test_certificate",
]
NAME, PORT = "tutor.test", 8443
#: Where the machine puts its backups, and here the recovery key they are encrypted to: it never gets to the machine.
BACKUPS, RECOVERY_KEY = "/mnt/backup", CACHE / "recovery-key.txt"
#: Units of the kernel's own records; Debian 13 has the second and starts the third at boot.
NOT_FOR_CONTAINERS = {"auditd.service", "audit-rules.service", "acct.service"}
#: After which it hangs.
INSTALL_SECONDS = 3600
INVENTORY: dict[str, Any] = {
    "appliance_address": ADDRESS,
    "appliance_name": NAME,
    "appliance_lan_subnets": [f"10.77.0.0/{PREFIX}"],
    "appliance_admin_subnets": [f"10.77.0.0/{PREFIX}"],
    "appliance_admin_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcAJdBUcCBcLRJfFEaUGeCZ7CfPTuPHmAuQdcgKbRbR test"],
    "preflight_spare_disk_gib": 2,
    "preflight_cpu_memory_gib": 4,
}


#: What took how long, in seconds: told at the end, judged by nobody.
TIMES: dict[str, float] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what the bars of the documentation ask for."""
    for what, seconds in TIMES.items():
        terminalreporter.write_line(f"{what}: {seconds:.0f} s")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say once, in plain words, why no machine is booted here."""
    reason = machines.missing()
    # One machine lives through all of them, in this order.
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else len(ORDER))
    for item in items:
        if "tests/host" in str(item.path):
            item.add_marker(pytest.mark.host)
            item.add_marker(pytest.mark.timeout(2 * INSTALL_SECONDS))
            if reason:
                item.add_marker(pytest.mark.skip(reason=f"the installed host is not tested: {reason}"))


@dataclass
class Kit:
    """A kit, and the public key it is signed with."""

    directory: Path
    public_key: str

    @property
    def variant(self) -> str:
        """``cpu`` or ``gateway``."""
        return str(self._stated["variant"])

    @property
    def release(self) -> str:
        """``debian-12`` …"""
        return str(self._stated["release"])

    @property
    def _stated(self) -> dict[str, Any]:
        return tomllib.loads((self.directory / "kit.toml").read_text(encoding="utf-8"))


@dataclass
class Installed:
    """The installed machine, and how its installation went."""

    machine: Machine
    kit: Kit
    first: Result
    seconds: float
    host: Host = field(init=False)

    def __post_init__(self) -> None:
        self.host = self.machine.host()


def play(machine: Machine, *arguments: str, place: str = KIT_PLACE, **changes: Any) -> Result:
    """Run the kit's installer inside, with the inventory of these tests and changes to it."""
    backup = {"appliance_backup_directory": BACKUPS, "appliance_backup_recipient": recipient()}
    box = {"ansible_connection": "local", **INVENTORY, **backup, **changes}
    machine.write("/root/box.yml", yaml.safe_dump({"appliance": {"hosts": {"box-1": box}}}))
    named = ("--key", "/root/kit-key.pem", "--inventory", "/root/box.yml")
    return machine.run("sh", f"{place}/install", *named, *arguments, timeout=INSTALL_SECONDS)


def recipient() -> str:
    """The public recovery key; the pair is made once, by the command for it, away from the machine."""
    if not RECOVERY_KEY.exists():
        RECOVERY_KEY.parent.mkdir(parents=True, exist_ok=True)
        machines.checked([sys.executable, "-m", "appliance", "backup", "keygen", "--out", str(RECOVERY_KEY)], cwd=ROOT)
    return re.findall(r"age1[0-9a-z]+", RECOVERY_KEY.read_text(encoding="ascii"))[0]


def changed(result: Result) -> int:
    """How many tasks changed something, by Ansible's recap."""
    return int(result.out.rsplit("changed=", 1)[1].split()[0])


def failed_units(machine: Machine) -> set[str]:
    """The units that have failed, but those of the kernel's audit and accounting, which are not for containers."""
    lines = machine.check("systemctl", "--failed", "--plain", "--no-legend").splitlines()
    return {line.split()[0] for line in lines} - NOT_FOR_CONTAINERS


def changes(result: Result) -> list[str]:
    """The tasks that changed something, by name."""
    found, task = [], ""
    for line in result.out.splitlines():
        if line.startswith(("TASK [", "RUNNING HANDLER [")):
            task = line.split("[", 1)[1].split("]")[0]
        elif line.startswith("changed:") and task not in found:
            found.append(task)
    return found


@pytest.fixture(scope="session")
def kit() -> Kit:
    """The kit that is tested."""
    if given := os.environ.get("HOST_KIT"):
        directory = Path(given)
    else:
        release = os.environ.get("HOST_RELEASE", "debian-12")
        # Of the engine for CPUs there are kits for Debian 12 alone.
        variant = os.environ.get("HOST_VARIANT", "cpu" if release == "debian-12" else "gateway")
        directory = CACHE / f"kit-{release}"
        command = [sys.executable, "-m", "deploy.kit", "--out", str(directory), "--variant", variant]
        command += ["--release", release]
        machines.checked(command, timeout=INSTALL_SECONDS, cwd=ROOT)
    public = directory.with_name(f"{directory.name}.{seal.PUBLIC_KEY}")
    return Kit(directory, public.read_text(encoding="ascii"))


@pytest.fixture(scope="session")
def bare(kit: Kit) -> Iterator[Machine]:
    """A machine as Debian leaves it, with the kit at hand."""
    with machines.booted(kit.directory, release=kit.release) as machine:
        machine.write("/root/kit-key.pem", kit.public_key)
        yield machine


@pytest.fixture(scope="session")
def capture(bare: Machine, kit: Kit) -> Iterator[Path]:
    """What the LAN peer's card sees, from before the installation to the end."""
    file = CACHE / f"lan-{kit.release}.pcap"
    file.unlink(missing_ok=True)
    command = bare.beside("tcpdump", "--immediate-mode", "-Z", "root", "-U", "-n", "-i", "lan0", "-w", str(file))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        machines.until(file.exists, 30, lambda: "tcpdump did not start")
        yield file
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=10)


@pytest.fixture(scope="session")
def installed(bare: Machine, kit: Kit, capture: Path) -> Installed:
    """The machine after the play."""
    started = time.monotonic()
    result = play(bare)
    assert result.rc == 0, result.out[-6000:]
    # The play ends when the model has answered.
    seconds = time.monotonic() - started
    TIMES[f"{kit.variant} kit, from the start of its installer to the first answer"] = seconds
    return Installed(bare, kit, result, seconds)


@pytest.fixture(scope="session")
def client(installed: Installed) -> Client:
    """An app on the LAN, with a key of its own."""
    made = installed.machine.check("appliance", "keys", "create", "--name", "host-test", "--json")
    return Client(installed.machine, PORT, json.loads(made)["key"])
