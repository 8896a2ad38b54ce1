"""A backup of the installed machine, made by its unit, and restored on a second one as docs/backup.md says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.host import machine as machines
from tests.host.client import Client
from tests.host.conftest import BACKUPS, PORT, RECOVERY_KEY, Installed, Kit, failed_units, play
from tests.host.machine import ADDRESS, Machine
from tests.host.test_evidence import wait_for_privacy_test

STATE = "/var/lib/appliance"
#: What the administrator brings to the second machine, from the safe.
SAFE = "/root/safe"
QUESTION = '{"model": "gpt-4o", "max_tokens": 4, "messages": [{"role": "user", "content": "1 + 1 ="}]}'
#: No key of anybody's.
UNKNOWN_KEY = "sk-appliance-aaaaaaaa-" + "A" * 43


@dataclass
class Backup:
    """What was backed up, and what the machine said of itself just before."""

    file: str
    usage: list[dict[str, Any]]
    head: str
    settings: str
    keys: list[dict[str, Any]]


def status(machine: Machine, key: str) -> int:
    """What an app with this key is answered to a question."""
    authority = machine.root / "etc/appliance/tls/ca.crt"
    command = ["curl", "--silent", "--max-time", "120", "--cacert", str(authority), "--output", "/dev/null"]
    command += ["--write-out", "%{http_code}", "--header", f"Authorization: Bearer {key}", "--data", QUESTION]
    command += ["--header", "Content-Type: application/json", f"https://{ADDRESS}:{PORT}/v1/chat/completions"]
    return int(subprocess.run(machine.beside(*command), capture_output=True, text=True, check=False).stdout)


def answered(kit: Kit) -> int:
    """What a good key is answered: without an engine that there is none."""
    return 503 if kit.variant == "gateway" else 200


def told(machine: Machine, *command: str) -> Any:
    return json.loads(machine.check("appliance", *command, "--json"))


def elsewhere(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """The command on a machine that has nothing to do with the box."""
    words = [sys.executable, "-m", "appliance", *map(str, command)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def backup(installed: Installed, client: Client) -> Backup:
    """Some traffic, and a backup by the unit, as every night."""
    machine = installed.machine
    wait_for_privacy_test(installed)
    assert status(machine, client.key) == answered(installed.kit)
    assert status(machine, UNKNOWN_KEY) == 401
    usage, keys = told(machine, "usage"), told(machine, "keys", "list")
    machine.check("systemctl", "start", "appliance-backup.service", timeout=300)
    newest = told(machine, "backup", "list")[-1]
    settings = installed.host.file("/etc/appliance/appliance.toml").content_string
    return Backup(newest["file"], usage, newest["audit_head"], settings, keys)


@pytest.fixture(scope="module")
def taken(installed: Installed, backup: Backup, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The backup and the machine's public key, on the disk that was carried away."""
    disk = tmp_path_factory.mktemp("disk")
    stem = installed.machine.root / backup.file.removesuffix(".age").lstrip("/")
    for path in (
        *stem.parent.glob(f"{stem.name}.*"),
        installed.machine.root / "var/lib/appliance/upkeep/machine-key.pub.pem",
    ):
        shutil.copy(path, disk)
    return disk


@pytest.fixture(scope="module")
def fresh(kit: Kit, taken: Path) -> Iterator[Machine]:
    """A second machine, installed by the same play but for the monitoring, with what was carried there."""
    with machines.booted(kit.directory, name="restored", release=kit.release) as machine:
        machine.write("/root/kit-key.pem", kit.public_key)
        result = play(machine, "--skip-tags", "monitoring,verify")
        assert result.rc == 0, result.out[-6000:]
        safe = machine.root / SAFE.lstrip("/")
        shutil.copytree(taken, safe)
        shutil.copy(RECOVERY_KEY, safe)
        yield machine


def restore(machine: Machine, backup: Backup, identity: str, *options: str) -> machines.Result:
    file = f"{SAFE}/{Path(backup.file).name}"
    return machine.run("appliance", "backup", "restore", file, "--identity", identity, *options, timeout=300)


def by_the_book(machine: Machine, backup: Backup) -> machines.Result:
    """The commands of docs/backup.md."""
    machine.check("systemctl", "stop", "appliance-gateway")
    public = f"{SAFE}/machine-key.pub.pem"
    result = restore(machine, backup, f"{SAFE}/{RECOVERY_KEY.name}", "--machine-key", public, "--replace")
    machine.check("systemctl", "start", "appliance-gateway")
    return result


@pytest.fixture(scope="module")
def restored(fresh: Machine, backup: Backup, kit: Kit, client: Client) -> machines.Result:
    """The second machine with the first one's state; what the command printed."""
    assert status(fresh, client.key) == 401  # of a machine it does not know yet
    result = by_the_book(fresh, backup)
    assert result.rc == 0, result.out
    machines.until(
        lambda: status(fresh, client.key) == answered(kit),
        900,
        lambda: fresh.run("journalctl", "--no-pager", "-n", "60", "-o", "cat").out,
    )
    return result


def test_installation_made_the_first_backup_and_switched_the_nights_on(installed: Installed, backup: Backup) -> None:
    assert installed.host.service("appliance-backup.timer").is_enabled
    assert installed.host.service("appliance-backup.timer").is_running
    assert len(told(installed.machine, "backup", "list")) >= 2


def test_backup_is_made_in_its_sandbox_and_is_its_users_alone(installed: Installed, backup: Backup) -> None:
    shown = installed.machine.check("systemctl", "show", "appliance-backup", "--property=Result,ReadWritePaths,User")
    assert "Result=success" in shown
    assert f"ReadWritePaths=/var/lib/appliance/upkeep {BACKUPS}" in shown
    file = installed.host.file(backup.file)
    assert (file.user, file.mode) == ("appliance-backup", 0o600)
    assert installed.host.file(BACKUPS).mode == 0o700
    assert not installed.host.file(f"{STATE}/upkeep/.backup-making").exists


def test_backup_opens_with_the_recovery_key_alone(taken: Path, backup: Backup, client: Client, tmp_path: Path) -> None:
    age = taken / Path(backup.file).name
    assert age.read_bytes().startswith(b"age-encryption.org/v1\n")
    common = ("backup", "verify", age, "--state-dir", tmp_path / "none", "--machine-key", taken / "machine-key.pub.pem")
    opened = elsewhere(*common, "--identity", RECOVERY_KEY, "--json")
    assert opened.returncode == 0, opened.stderr
    assert json.loads(opened.stdout)["audit"] == "whole"
    other = tmp_path / "other.txt"
    assert elsewhere("backup", "keygen", "--out", other).returncode == 0
    assert elsewhere(*common, "--identity", other).returncode == 65


def test_wrong_recovery_key_is_refused_and_nothing_is_changed(fresh: Machine, backup: Backup, client: Client) -> None:
    fresh.check("appliance", "backup", "keygen", "--out", f"{SAFE}/wrong.txt")
    before = told(fresh, "keys", "list")
    fresh.check("systemctl", "stop", "appliance-gateway")
    public = ("--machine-key", f"{SAFE}/machine-key.pub.pem")
    result = restore(fresh, backup, f"{SAFE}/wrong.txt", *public, "--replace")
    fresh.check("systemctl", "start", "appliance-gateway")
    assert result.rc == 65, result.out
    assert told(fresh, "keys", "list") == before
    assert fresh.run("sh", "-c", f"ls -d {STATE}/replaced-* {STATE}/restored-*").rc != 0


def test_backup_of_a_box_that_nobody_named_is_refused(fresh: Machine, backup: Backup) -> None:
    fresh.check("systemctl", "stop", "appliance-gateway")
    result = restore(fresh, backup, f"{SAFE}/{RECOVERY_KEY.name}", "--replace")  # against its own machine key
    fresh.check("systemctl", "start", "appliance-gateway")
    assert (result.rc, "is not signed by the machine key" in result.out) == (65, True), result.out


def test_restoring_beside_a_running_gateway_is_refused(fresh: Machine, backup: Backup) -> None:
    public = ("--machine-key", f"{SAFE}/machine-key.pub.pem")
    result = restore(fresh, backup, f"{SAFE}/{RECOVERY_KEY.name}", *public, "--replace")
    assert result.rc != 0
    assert "restored " not in result.out


def test_apps_keys_work_as_before(
    fresh: Machine, restored: machines.Result, backup: Backup, client: Client, kit: Kit
) -> None:
    assert status(fresh, client.key) == answered(kit)
    assert status(fresh, UNKNOWN_KEY) == 401
    assert told(fresh, "keys", "list") == backup.keys


def test_account_of_use_and_audit_are_there_and_the_chain_goes_on(
    fresh: Machine, restored: machines.Result, backup: Backup
) -> None:
    assert re.search(r"^audit +whole, \d+ records, head ", restored.out, re.MULTILINE)
    verdict = json.loads(fresh.check("appliance", "report", "--verify-audit", "--head", backup.head, "--json"))
    assert verdict["ok"] is True
    assert verdict["records"] > int(backup.head.partition(":")[0])  # what came since the restore stands behind it
    there = {one["app"]: one for one in told(fresh, "usage")}
    assert {one["app"] for one in backup.usage} <= set(there)
    for one in backup.usage:
        assert there[one["app"]]["requests"] >= one["requests"] > 0


def test_settings_of_the_old_box_are_laid_aside_to_be_looked_at(
    fresh: Machine, restored: machines.Result, backup: Backup
) -> None:
    (aside,) = fresh.root.glob("var/lib/appliance/restored-*/appliance.toml")
    assert aside.read_text(encoding="utf-8") == backup.settings
    assert f"{aside.parent.name}/appliance.toml" in restored.out


def test_restored_box_signs_as_the_old_one_and_backs_up(fresh: Machine, restored: machines.Result, taken: Path) -> None:
    public = (fresh.root / "var/lib/appliance/upkeep/machine-key.pub.pem").read_bytes()
    assert public == (taken / "machine-key.pub.pem").read_bytes()
    fresh.check("systemctl", "start", "appliance-backup.service", timeout=300)
    made = told(fresh, "backup", "list")[-1]["file"]
    assert fresh.run("appliance", "backup", "verify", made).rc == 0
    assert failed_units(fresh) == set()
