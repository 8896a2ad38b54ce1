"""Two boxes in one inventory, installed over ssh from the LAN's other end, as an administrator's machine does it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.host import machine as machines
from tests.host.conftest import INSTALL_SECONDS, INVENTORY, PORT, Kit, changes
from tests.host.machine import ROOT, Machine, Result

KIT_PLACE = "/opt/appliance/kit"
#: The account that the Debian installer made: with a password, as it asks for one, until the play takes it away.
ADMIN, PASSWORD = "boxadmin", "until-the-play"
APT = f"""
set -eu
echo 'deb [trusted=yes] file:{KIT_PLACE}/debs ./' > /run/kit.list
mkdir -p /run/lists/partial
apt="apt-get -qq -o Dir::Etc::SourceList=/run/kit.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=/run/lists"
export DEBIAN_FRONTEND=noninteractive
$apt -o APT::Sandbox::User=root update
$apt -o APT::Sandbox::User=root install -y --no-install-recommends openssh-server sudo python3 >/dev/null 2>&1
useradd --create-home --shell /bin/bash --groups sudo {ADMIN}
echo '{ADMIN}:{PASSWORD}' | chpasswd
"""


@dataclass
class Office:
    """The administrator's machine: the LAN peer, with a key and an inventory."""

    boxes: dict[str, Machine]
    place: Path
    ansible: Path

    def play(self, *, password: bool = False, **changes: dict[str, Any]) -> Result:
        """Run the kit's playbook on all boxes; changes to the inventory by the box's name."""
        hosts = {name: {**self.stated(box), **changes.get(name, {})} for name, box in self.boxes.items()}
        if password:
            hosts = {name: {**box, "ansible_become_password": PASSWORD} for name, box in hosts.items()}
        inventory = self.place / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"appliance": {"hosts": hosts}}), encoding="utf-8")
        kit = next(iter(self.boxes.values())).kit
        command = [str(self.ansible / "bin/ansible-playbook"), "--inventory", str(inventory), "site.yml"]
        environment = {"LC_ALL": "C.UTF-8", "HOME": str(self.place), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
        done = subprocess.run(
            next(iter(self.boxes.values())).beside(*command),
            cwd=kit / "ansible",
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout)

    def stated(self, box: Machine) -> dict[str, Any]:
        """What the inventory says about a box."""
        own = (self.place / "key.pub").read_text(encoding="ascii").strip()
        return {
            **INVENTORY,
            "ansible_host": box.address,
            "ansible_user": ADMIN,
            "ansible_ssh_private_key_file": str(self.place / "key"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.place}/known_hosts",
            "appliance_address": box.address,
            "appliance_name": f"box-{box.address.rpartition('.')[2]}.test",
            "appliance_admin_keys": [own],
            "appliance_kit_key_file": str(self.place / "kit-key.pem"),
        }

    def page(self, box: Machine, path: str) -> str:
        """What an app is answered that trusts that box's CA."""
        name, authority = f"box-{box.address.rpartition('.')[2]}.test", box.root / "etc/appliance/tls/ca.crt"
        way = ["--resolve", f"{name}:{PORT}:{box.address}", "--cacert", str(authority)]
        command = ["curl", "--silent", "--max-time", "20", *way, f"https://{name}:{PORT}{path}"]
        return subprocess.run(box.beside(*command), capture_output=True, text=True, check=False).stdout


def ansible(kit: Kit, place: Path) -> Path:
    """Ansible as the documentation has it installed, from the kit; where the kit is for another Python, make's own."""
    if f'python = "3.{sys.version_info.minor}"' not in (kit.directory / "kit.toml").read_text(encoding="utf-8"):
        made = ROOT / ".venv-ansible"
        if not made.is_dir():
            pytest.skip("the kit's Ansible is for another Python than this machine's: make lint-ansible makes one")
        return made
    machines.checked([sys.executable, "-m", "venv", str(place)])
    wanted = ["--no-index", "--require-hashes", f"--find-links={kit.directory}/wheels"]
    requirements = f"--requirement={kit.directory}/requirements-ansible.txt"
    machines.checked([str(place / "bin/pip"), "--quiet", "install", *wanted, requirements], timeout=600)
    return place


@pytest.fixture(scope="module")
def office(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    if kit.variant != "gateway":
        pytest.skip("two boxes at once are installed from a kit without an engine alone: HOST_VARIANT=gateway")
    place = tmp_path_factory.mktemp("office")
    programs = ansible(kit, place / "ansible")
    machines.checked(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / "key")])
    (place / "kit-key.pem").write_text(kit.public_key, encoding="ascii")
    binds = {kit.directory: KIT_PLACE}
    with (
        machines.booted(kit.directory, "several-1", binds, kit.release) as one,
        machines.booted(kit.directory, "several-2", binds, kit.release, neighbour=one) as two,
    ):
        for box in (one, two):
            box.check("sh", "-c", APT, timeout=600)
            box.write(f"/home/{ADMIN}/.ssh/authorized_keys", (place / "key.pub").read_text(encoding="ascii"))
            box.check("chown", "-R", f"{ADMIN}:", f"/home/{ADMIN}/.ssh")
            known = machines.checked(box.beside("ssh-keyscan", "-t", "ed25519", box.address))
            with (place / "known_hosts").open("a", encoding="ascii") as file:
                file.write(known)
        yield Office({"box-1": one, "box-2": two}, place, programs)


def test_connection_that_would_be_cut_off_is_refused(office: Office) -> None:
    result = office.play(
        password=True,
        **{"box-1": {"appliance_admin_subnets": ["10.99.0.0/24"]}, "box-2": {"appliance_admin_user": "anna"}},
    )
    said = " ".join(result.out.split())
    assert result.rc != 0
    assert "This connection comes from 10.77.0.1, which is in none of appliance_admin_subnets." in said
    assert "This connection is made as boxadmin, and anna alone will be let in." in said
    assert changes(result) == []


def test_session_on_the_box_that_would_be_cut_off_is_refused(office: Office) -> None:
    box = office.boxes["box-1"]
    stated = {**office.stated(box), "ansible_connection": "local", "appliance_admin_subnets": ["10.99.0.0/24"]}
    del stated["appliance_kit_key_file"]
    box.write(f"/home/{ADMIN}/box.yml", yaml.safe_dump({"appliance": {"hosts": {"box-1": stated}}}))
    box.write(f"/home/{ADMIN}/kit-key.pem", (office.place / "kit-key.pem").read_text(encoding="ascii"))
    way = ["-i", str(office.place / "key"), "-o", f"UserKnownHostsFile={office.place}/known_hosts"]
    install = f"echo {PASSWORD} | sudo -S sh {KIT_PLACE}/install --key kit-key.pem --inventory box.yml"
    command = box.beside("ssh", *way, f"{ADMIN}@{box.address}", install)
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    assert done.returncode != 0
    assert "This connection comes from 10.77.0.1, which is in none of appliance_admin_subnets." in " ".join(
        done.stdout.split()
    )
    assert changes(Result(done.returncode, done.stdout)) == []


def test_both_are_installed_by_one_play(office: Office) -> None:
    result = office.play(password=True)
    assert result.rc == 0, result.out[-6000:]
    for box in office.boxes.values():
        assert office.page(box, "/health/live") == '{"status":"live"}'


def test_each_has_a_ca_of_its_own(office: Office) -> None:
    one, two = ((box.root / "etc/appliance/tls/ca.crt").read_bytes() for box in office.boxes.values())
    assert one != two


def test_second_run_needs_no_password_and_changes_nothing(office: Office) -> None:
    result = office.play()
    assert result.rc == 0, result.out[-6000:]
    assert changes(result) == []


def test_box_that_is_refused_does_not_hold_up_the_other(office: Office) -> None:
    result = office.play(**{"box-1": {"appliance_lan_subnets": ["10.77.0.2/24"]}})
    recap = result.out.rsplit("PLAY RECAP", 1)[1]
    one, two = (next(line for line in recap.splitlines() if line.startswith(name)) for name in office.boxes)
    assert result.rc != 0
    assert "failed=1" in one
    assert "failed=0" in two
    assert "verify : See that everything runs" in result.out
