"""Wrong input stops in preflight with one sentence and its remedy, and changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.kit import seal
from deploy.kit.__main__ import CACHE as KIT_CACHE
from tests.deploy.test_playbook_filters import academy
from tests.host.conftest import NAME, Kit, changed, play
from tests.host.machine import KIT_PLACE, Machine

#: The inventory of an academy with a certificate of its own.
ACADEMY = {
    "tls_source": "files",
    **{
        f"tls_{what}_file": f"/root/academy/{file}"
        for what, file in (("certificate", "server.crt"), ("key", "server.key"), ("ca", "ca.crt"))
    },
}
#: Where a copy of the kit lies that can be altered: a layer over it, in memory.
ALTERED = "/run/altered"

WRONGS: list[tuple[dict[str, Any], str]] = [
    ({"appliance_lan_subnets": ["10.77.0.2/24"]}, "'10.77.0.2/24' is no subnet of a building. Write it as"),
    ({"appliance_admin_subnets": ["0.0.0.0/0"]}, "'0.0.0.0/0' is no subnet of a building."),
    *(
        ({name: "10.77.0.0/24"}, f"{name} is a text and must be a list. Write it with brackets, even for a single one:")
        for name in (
            "appliance_lan_subnets",
            "appliance_admin_subnets",
            "appliance_ntp_servers",
            "appliance_admin_keys",
        )
    ),
    ({"appliance_lan_subnets": []}, "appliance_lan_subnets is empty. Name at least one subnet"),
    ({"appliance_address": "10.77.0.9"}, "The box has no address '10.77.0.9', it has 10.77.0.2."),
    ({"appliance_ntp_servers": ["pool.ntp.org"]}, "'pool.ntp.org' is no IP address."),
    ({"appliance_admin_keys": None}, "argument 'appliance_admin_keys' is of type NoneType"),
    ({"appliance_admin_keys": []}, "appliance_admin_keys has no usable public SSH key"),
    (
        {"appliance_address": ""},
        "appliance_address is empty, the box has 10.77.0.2. Set the address on its interface, or",
    ),
    ({"appliance_name": ""}, "'' is no host name. Set appliance_name to the name apps will call, in lower case."),
    ({"appliance_lan_subnet": ["10.77.0.0/24"]}, "There is no variable 'appliance_lan_subnet'. Did you mean"),
    ({"appliance_address": None, "tls_sourse": "files"}, "There is no variable 'tls_sourse'. Did you mean tls_source?"),
    ({"tls_source": "files"}, "There is no file '' where Ansible runs: set tls_certificate_file to the whole path."),
    ({"tls_source": "acme"}, "value of tls_source must be one of: local, files, got: acme"),
    ({"preflight_spare_disk_gib": 100_000}, "are needed. Free some, or mount a larger disk there."),
    ({"preflight_cpu_memory_gib": 4_000, "preflight_gpu_memory_gib": 4_000}, "GiB of memory and 4000 are needed. Add"),
]


@pytest.fixture(scope="module")
def ready(bare: Machine) -> Machine:
    """The bare machine with Ansible on it, which the installer puts there before the playbook runs."""
    assert play(bare, "--syntax-check").rc == 0
    return bare


@pytest.mark.parametrize(
    ("change", "said"), WRONGS, ids=[next(iter(change)) + str(n) for n, (change, _) in enumerate(WRONGS)]
)
def test_wrong_inventory_stops_before_anything_is_changed(ready: Machine, change: dict[str, Any], said: str) -> None:
    result = play(ready, **change)
    assert result.rc != 0
    assert said in " ".join(result.out.split())
    assert changed(result) == 0


@pytest.mark.parametrize(
    ("inventory", "said"),
    [
        ("applaince: {hosts: {box-1: {ansible_connection: local}}}\n", "/root/box.yml names no box."),
        ("appliance: {host: {box-1: {ansible_connection: local}}}\n", "/root/box.yml names no box."),
        ("appliance:\n  hosts:\n", "/root/box.yml names no box."),
        ("", "/root/box.yml names no box."),
        ("appliance: [\n", "/root/box.yml is no YAML that Ansible can read near line 2."),
        ("only words\n", "/root/box.yml is no YAML that Ansible can read."),
    ],
    ids=["group", "hosts", "none", "empty", "yaml", "words"],
)
def test_inventory_that_names_no_box_is_no_success(ready: Machine, inventory: str, said: str) -> None:
    ready.write("/root/box.yml", inventory)
    result = ready.run("sh", f"{KIT_PLACE}/install", "--key", "/root/kit-key.pem", "--inventory", "/root/box.yml")
    assert result.rc == 1
    assert said in result.out
    assert "PLAY" not in result.out


def test_packages_whose_installation_was_killed_are_finished_by_the_same_command(ready: Machine) -> None:
    ready.write("/var/lib/dpkg/updates/0001", "")
    result = play(ready, "--syntax-check")
    assert result.rc == 0, result.out[-4000:]
    assert "It is finished first: dpkg --configure -a" in result.out
    assert not list((ready.root / "var/lib/dpkg/updates").iterdir())


def test_trial_on_a_bare_machine_says_that_nothing_is_against_it_and_changes_nothing(ready: Machine) -> None:
    result = play(ready, "--check")
    assert result.rc == 0, result.out[-4000:]
    said = " ".join(result.out.split())
    assert (
        "Nothing is against the installation. The packages of Python, where they were missing, and Ansible in" in said
    )
    assert "were installed from the kit to find that out; but for these nothing was changed." in said
    assert changed(result) == 0


def test_kit_for_a_gpu_is_refused_where_there_is_none(ready: Machine, kit: Kit) -> None:
    stated = {
        "variant": "gpu",
        "release": kit.release,
        "architecture": "amd64",
        "disk_bytes": 1,
        "made_at": 1,
        "id": "x",
    }
    result = play(ready, "--extra-vars", json.dumps({"kit_checked": {"kit": stated}}), preflight_gpu_memory_gib=1)
    assert result.rc != 0
    assert "The kit is for a GPU and the box has none from NVIDIA." in " ".join(result.out.split())
    assert changed(result) == 0


def test_clock_from_before_the_kit_is_refused(ready: Machine, kit: Kit) -> None:
    stated = {"variant": "cpu", "release": kit.release, "architecture": "amd64", "disk_bytes": 1, "id": "x"}
    result = play(ready, "--extra-vars", json.dumps({"kit_checked": {"kit": {**stated, "made_at": 2**33}}}))
    assert result.rc != 0
    said = " ".join(result.out.split())
    assert "UTC, and the kit was made on 2242-03-16 12:56 UTC. Set it (date --set=" in said
    assert changed(result) == 0


@pytest.fixture
def altered(ready: Machine) -> Iterator[Path]:
    """The kit at :data:`ALTERED` in the machine, to be altered; its path from here."""
    ready.check("mkdir", "-p", "/run/layer", ALTERED)
    ready.check("mount", "-t", "tmpfs", "tmpfs", "/run/layer")
    ready.check("mkdir", "/run/layer/upper", "/run/layer/work")
    layers = f"lowerdir={KIT_PLACE},upperdir=/run/layer/upper,workdir=/run/layer/work"
    ready.check("mount", "-t", "overlay", "overlay", "-o", layers, ALTERED)
    yield Path(f"/proc/{ready.leader}/root{ALTERED}")
    ready.check("umount", ALTERED, "/run/layer")


def sealed(kit: Path, **stated: str) -> Path:
    """The kit with other statements about it, signed again by its maker."""
    lines = (kit / "kit.toml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.partition(" ")[0] not in stated]
    added = [f"{name} = {json.dumps(value)}" for name, value in stated.items()]
    (kit / "kit.toml").write_text("\n".join([*kept, *added, ""]), encoding="utf-8")
    seal.write(kit, KIT_CACHE / "signing-key.pem")
    return kit


def by_installer(machine: Machine) -> tuple[int, str]:
    """What the altered kit's own installer says."""
    result = play(machine, place=ALTERED)
    return result.rc, result.out


def by_playbook(machine: Machine) -> tuple[int, str]:
    """What a good playbook says to the altered kit, as on boxes that are installed over ssh."""
    result = play(machine, "--extra-vars", f"appliance_kit_dir={ALTERED}")
    assert changed(result) == 0
    return result.rc, " ".join(result.out.split())


@pytest.mark.parametrize(
    ("ask", "said"),
    [(by_installer, "The kit was changed after it was signed"), (by_playbook, "holds a changed wheels/")],
)
def test_flipped_byte_in_a_wheel_is_refused(
    ready: Machine, altered: Path, ask: Callable[[Machine], tuple[int, str]], said: str
) -> None:
    wheel = next(altered.glob("wheels/appliance-*.whl"))
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    wheel.write_bytes(content)
    code, answer = ask(ready)
    assert code != 0
    assert said in answer


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (by_installer, "neither a file nor a directory: ansible/filter_plugins. Do not use it"),
        (by_playbook, "holds a link, a pipe or a device: ansible/filter_plugins. Do not use it"),
    ],
)
def test_programs_that_a_link_in_the_kit_leads_to_are_not_run(
    ready: Machine, altered: Path, ask: Callable[[Machine], tuple[int, str]], said: str
) -> None:
    ready.write("/root/evil/evil.py", "open('/root/evil-ran', 'w')\n")
    (altered / "ansible" / "filter_plugins").symlink_to("/root/evil")
    code, answer = ask(ready)
    assert code != 0
    assert said in answer
    assert not (ready.root / "root/evil-ran").exists()


@pytest.mark.parametrize("ask", [by_installer, by_playbook])
def test_kit_for_another_release_is_refused(
    ready: Machine, kit: Kit, altered: Path, ask: Callable[[Machine], tuple[int, str]]
) -> None:
    sealed(altered, release="debian-11")
    code, said = ask(ready)
    assert code != 0
    assert "The kit is for debian-11 " in said
    assert kit.release in said


@pytest.fixture
def card(ready: Machine) -> Iterator[Machine]:
    """A machine that sees a card of NVIDIA's, and the variables of a firmware that starts signed systems alone."""
    # A container's /sys is a small read-only layout of its own.
    ready.check("mount", "-t", "tmpfs", "tmpfs", "/sys/bus")
    ready.check("mount", "-o", "remount,rw", "/sys")
    ready.check("mkdir", "-p", "/sys/bus/pci/devices/0000:01:00.0", "/sys/firmware/efi/efivars")
    ready.check("sh", "-c", "echo 0x10de > /sys/bus/pci/devices/0000:01:00.0/vendor")
    variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    ready.check("sh", "-c", f"printf '\\006\\000\\000\\000\\001' > {variable}")
    yield ready
    ready.check("umount", "/sys/bus")
    ready.check("rm", "-r", "/sys/firmware")
    ready.check("mount", "-o", "remount,ro", "/sys")


def test_card_without_a_driver_is_refused(card: Machine, altered: Path) -> None:
    sealed(altered, variant="gpu")
    result = play(card, place=ALTERED, preflight_gpu_memory_gib=1)
    assert result.rc != 0
    assert "The GPU's driver is missing, 580 or newer is needed, and the kit brings none." in " ".join(
        result.out.split()
    )
    assert changed(result) == 0


def test_secure_boot_that_would_keep_the_driver_out_is_refused(card: Machine, altered: Path) -> None:
    (altered / "nvidia").mkdir()
    shutil.copyfile(altered / "debs" / "Packages", altered / "nvidia" / "Packages")
    sealed(altered, variant="gpu")
    result = play(card, place=ALTERED, preflight_gpu_memory_gib=1)
    assert result.rc != 0
    assert "Secure boot is on and would keep out the driver that is built on this box." in " ".join(result.out.split())
    assert changed(result) == 0


@pytest.mark.parametrize(
    ("days_left", "key_of", "name", "said"),
    [
        (90, "other", NAME, "/root/academy/server.key is not the key of /root/academy/server.crt: name the two that"),
        (-1, "own", NAME, "Apps would refuse the certificate: certificate has expired."),
        (
            90,
            "own",
            "else.test",
            f"Apps would refuse the certificate: Hostname mismatch, certificate is not valid for '{NAME}'.",
        ),
    ],
    ids=["key", "expired", "name"],
)
def test_certificate_that_apps_would_refuse_is_refused(
    ready: Machine, days_left: int, key_of: str, name: str, said: str
) -> None:
    files = academy(ready.root / "root/academy", days_left, name)
    if key_of == "other":
        shutil.copyfile(academy(ready.root / "root/academy/other").key, files.key)
    result = play(ready, **ACADEMY)
    assert result.rc != 0
    assert said in " ".join(result.out.split())
    assert changed(result) == 0


def test_kit_signed_by_somebody_else_is_refused(ready: Machine, kit: Kit) -> None:
    other = ready.check("sh", "-c", "openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout 2>/dev/null")
    ready.write("/root/kit-key.pem", other)
    try:
        result = play(ready)
    finally:
        ready.write("/root/kit-key.pem", kit.public_key)
    assert result.rc == 1
    assert "The kit is not signed with /root/kit-key.pem. Do not use it" in result.out
