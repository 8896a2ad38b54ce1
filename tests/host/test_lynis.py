"""Lynis on the installed machine: the hardening index, by the tool as the distribution ships it, with its own profile."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.host.conftest import Installed
from tests.host.machine import Machine

BAR = 85
#: What of this machine's Lynis goes in, and is taken away again: it is no part of the appliance.
PARTS = ("/usr/sbin/lynis", "/usr/share/lynis", "/etc/lynis")
AUDIT_SECONDS = 1200


@pytest.fixture(scope="module")
def report(installed: Installed) -> str:
    absent = [part for part in PARTS if not Path(part).exists()]
    if absent:
        pytest.skip(f"Lynis is not here ({', '.join(absent)}): apt-get install lynis")
    machine = installed.machine
    for part in PARTS:
        copy = shutil.copytree if Path(part).is_dir() else shutil.copy2
        copy(part, machine.root / part.lstrip("/"))
    try:
        machine.check("lynis", "audit", "system", "--quick", "--no-colors", timeout=AUDIT_SECONDS)
        return installed.host.file("/var/log/lynis-report.dat").content_string
    finally:
        machine.check("rm", "-rf", *PARTS, "/var/log/lynis-report.dat", "/var/log/lynis.log")


def start(machine: Machine, unit: str) -> int:
    """Start a unit and wait for its end, for as long as reading every file takes."""
    return machine.run("systemctl", "start", unit, timeout=AUDIT_SECONDS).rc


def test_index_is_at_the_bar_or_above(report: str) -> None:
    assert int(re.search(r"^hardening_index=(\d+)$", report, re.MULTILINE)[1]) >= BAR


def test_only_warning_is_that_no_mirror_is_asked(report: str) -> None:
    warnings = [
        line.split("|")[0].removeprefix("warning[]=") for line in report.splitlines() if line.startswith("warning")
    ]
    assert warnings == ["PKGS-7388"]


def test_changed_file_is_noticed(installed: Installed) -> None:
    machine = installed.machine
    assert start(machine, "files-baseline") == 0
    assert start(machine, "files-check") == 0
    machine.check("sh", "-c", "cp --preserve /etc/motd /root/motd && echo changed >> /etc/motd")
    try:
        assert start(machine, "files-check") != 0
        said = machine.check("journalctl", "--unit=files-check", "--no-pager", "--lines=200")
        assert re.search(r"^.*/etc/motd$", said, re.MULTILINE)
    finally:
        machine.check("mv", "/root/motd", "/etc/motd")
        machine.check("systemctl", "reset-failed", "files-check")


def test_no_trace_of_a_known_rootkit_is_found(installed: Installed) -> None:
    assert start(installed.machine, "rootkit-check") == 0


def test_usb_rules_let_in_no_storage_where_no_port_is_named(installed: Installed) -> None:
    rules = installed.host.file("/etc/usbguard/rules.conf").content_string
    allowed = [line for line in rules.splitlines() if line.startswith("allow")]
    assert allowed
    assert not any("08:" in line for line in allowed)
    assert "\nImplicitPolicyTarget=block\n" in installed.host.file("/etc/usbguard/usbguard-daemon.conf").content_string


def test_network_goes_by_the_parameters_that_are_written(installed: Installed) -> None:
    # Even a container has a network of its own, so these are not only written but set.
    said = installed.host.file("/etc/sysctl.d/60-appliance.conf").content_string
    wanted = dict(re.findall(r"^-?(net\.ipv4\.\S+) = (\S+)$", said, re.MULTILINE))
    assert wanted
    assert {name: machine_value(installed.machine, name) for name in wanted} == wanted


def machine_value(machine: Machine, name: str) -> str:
    """A kernel parameter as it is now."""
    return machine.check("cat", f"/proc/sys/{name.replace('.', '/')}").strip()
