"""The playbook's own check of a kit, and the installer's: each refuses what the other refuses."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from deploy.kit import seal
from tests.deploy.kit.made import SmallKit, small_kit

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "ansible" / "roles" / "kit" / "library" / "kit_check.py"
INSTALLER = ROOT / "deploy" / "kit" / "install.sh"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kit_check", MODULE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


KIT_CHECK = module()


def change_a_byte(kit: SmallKit) -> None:
    (kit.directory / "wheels" / "one.whl").write_bytes(b"whee1")


def add_a_file(kit: SmallKit) -> None:
    (kit.directory / "wheels" / "two.whl").write_bytes(b"wheel")


def lose_a_file(kit: SmallKit) -> None:
    (kit.directory / "wheels" / "one.whl").unlink()


def change_the_list(kit: SmallKit) -> None:
    change_a_byte(kit)
    fresh = kit.directory.with_name("fresh")
    shutil.copytree(kit.directory, fresh)
    seal.write(fresh, seal.machine_key(kit.directory.with_name("another") / "signing-key.pem"))
    shutil.copyfile(fresh / seal.SUMS, kit.directory / seal.SUMS)


def sign_by_another(kit: SmallKit) -> None:
    seal.write(kit.directory, seal.machine_key(kit.directory.with_name("another") / "signing-key.pem"))


def lose_the_signature(kit: SmallKit) -> None:
    (kit.directory / seal.SIGNATURE).unlink()


WRONGS = [
    (change_a_byte, "changed wheels/one.whl", "changed after it was signed"),
    (add_a_file, "not signed: wheels/two.whl", "not signed: wheels/two.whl"),
    (lose_a_file, "lacks wheels/one.whl", "changed after it was signed"),
    (change_the_list, "not signed with the key", "not signed with"),
    (sign_by_another, "not signed with the key", "not signed with"),
    (lose_the_signature, "not signed with the key", "not signed with"),
]


def test_good_kit_says_what_it_is(tmp_path: Path) -> None:
    kit = small_kit(tmp_path)
    stated = KIT_CHECK.check(kit.directory, kit.public_key)
    assert stated["release"] == "debian-12"
    assert stated["id"].startswith("0.1.0-")


@pytest.mark.parametrize(("wrong", "said", "_installer_says"), WRONGS)
def test_wrong_kit_is_refused_by_the_playbook(
    tmp_path: Path, wrong: Callable[[SmallKit], None], said: str, _installer_says: str
) -> None:
    kit = small_kit(tmp_path)
    wrong(kit)
    with pytest.raises(KIT_CHECK.Refused, match=said):
        KIT_CHECK.check(kit.directory, kit.public_key)


def test_link_in_a_kit_is_refused(tmp_path: Path) -> None:
    kit = small_kit(tmp_path)
    (kit.directory / "wheels" / "one.whl").unlink()
    (tmp_path / "one.whl").write_bytes(b"wheel")
    (kit.directory / "wheels" / "one.whl").symlink_to(tmp_path / "one.whl")
    with pytest.raises(KIT_CHECK.Refused, match="link"):
        KIT_CHECK.check(kit.directory, kit.public_key)


def test_pipe_in_a_kit_is_refused(tmp_path: Path) -> None:
    kit = small_kit(tmp_path)
    (kit.directory / "wheels" / "one.whl").unlink()
    os.mkfifo(kit.directory / "wheels" / "one.whl")
    with pytest.raises(KIT_CHECK.Refused, match=r"a pipe or a device: wheels/one\.whl"):
        KIT_CHECK.check(kit.directory, kit.public_key)


def test_path_out_of_the_kit_is_refused(tmp_path: Path) -> None:
    kit = small_kit(tmp_path)
    sums = kit.directory / seal.SUMS
    line = sums.read_text(encoding="ascii").splitlines()[0].split("  ")[0]
    with pytest.raises(KIT_CHECK.Refused, match="a line that is none"):
        KIT_CHECK._listed(f"{line}  ../etc/passwd\n")


def test_kit_of_a_later_format_is_refused(tmp_path: Path) -> None:
    kit = small_kit(tmp_path)
    (kit.directory / "kit.toml").write_text('format = 2\nversion = "9"\n', encoding="utf-8")
    public = seal.write(kit.directory, tmp_path / "key" / "signing-key.pem")
    with pytest.raises(KIT_CHECK.Refused, match="format 2"):
        KIT_CHECK.check(kit.directory, public)


def test_directory_without_a_kit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KIT_CHECK.Refused, match="no kit in"):
        KIT_CHECK.check(tmp_path, "")


@pytest.fixture
def kit(tmp_path: Path) -> SmallKit:
    """A kit with the installer, for a system that no machine runs: it stops there, before it changes anything."""
    made = small_kit(tmp_path)
    shutil.copyfile(INSTALLER, made.directory / "install")
    (made.directory / "kit.toml").write_text('format = 1\nrelease = "plan9-4"\n', encoding="utf-8")
    public = seal.write(made.directory, tmp_path / "key" / "signing-key.pem")
    (tmp_path / "public.pem").write_text(public, encoding="ascii")
    (tmp_path / "box.yml").write_text("", encoding="utf-8")
    return SmallKit(made.directory, public)


def program(path: Path, *lines: str) -> None:
    """A stand-in for a program, in the words of sh(1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)


def install(kit: SmallKit, *arguments: str) -> str:
    """What the installer says; a stand-in for id(1) says root, so that it goes on to look at the kit."""
    place = kit.directory.parent
    (place / "scratch").mkdir(exist_ok=True)
    program(place / "programs" / "id", "echo 0")
    named = arguments or ("--key", str(place / "public.pem"), "--inventory", str(place / "box.yml"))
    done = subprocess.run(
        ["sh", str(kit.directory / "install"), *named],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{place / 'programs'}:{os.defpath}", "TMPDIR": str(place / "scratch")},
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert not list((place / "scratch").iterdir())
    return done.stderr


@pytest.mark.parametrize(("wrong", "_playbook_says", "said"), WRONGS)
def test_wrong_kit_is_refused_by_the_installer(
    kit: SmallKit, wrong: Callable[[SmallKit], None], _playbook_says: str, said: str
) -> None:
    wrong(kit)
    assert said in install(kit)


def test_installer_takes_a_good_kit_and_refuses_the_wrong_system(kit: SmallKit) -> None:
    assert "The kit is for plan9-4 and this box runs" in install(kit)


@pytest.mark.parametrize("name", ["ansible/filter_plugins", "wheels/one.whl", "SHA256SUMS.sig"])
def test_link_out_of_the_kit_is_refused_by_the_installer(kit: SmallKit, name: str) -> None:
    place = kit.directory / name
    outside = kit.directory.parent / "evil"
    if place.exists():
        shutil.move(place, outside)
    else:
        outside.mkdir()
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside)
    assert f"neither a file nor a directory: {name}. Do not use it" in install(kit)


def test_pipe_in_the_place_of_a_file_is_refused_by_the_installer(kit: SmallKit) -> None:
    (kit.directory / "wheels" / "one.whl").unlink()
    os.mkfifo(kit.directory / "wheels" / "one.whl")
    assert "neither a file nor a directory: wheels/one.whl." in install(kit)


def test_installer_needs_a_key(kit: SmallKit) -> None:
    assert "No kit key" in install(kit, "--inventory", str(kit.directory.parent / "box.yml"))


def test_installer_needs_an_inventory(kit: SmallKit) -> None:
    assert "No inventory" in install(kit, "--key", str(kit.directory.parent / "public.pem"))


def test_installer_names_the_key_and_the_inventory_that_are_not_there(kit: SmallKit) -> None:
    key, inventory = str(kit.directory.parent / "public.pem"), str(kit.directory.parent / "box.yml")
    assert "There is no kit key /none.pem." in install(kit, "--key", "/none.pem", "--inventory", inventory)
    assert "There is no inventory /none.yml." in install(kit, "--key", key, "--inventory", "/none.yml")


def test_installer_takes_its_options_in_any_order(kit: SmallKit) -> None:
    key, inventory = str(kit.directory.parent / "public.pem"), str(kit.directory.parent / "box.yml")
    assert "The kit is for plan9-4" in install(kit, "--check", f"--inventory={inventory}", "--key", key)
    assert "--key needs a file." in install(kit, "--check", "--inventory", inventory, "--key")


def test_installer_tells_how_it_is_used() -> None:
    done = subprocess.run(["sh", str(INSTALLER), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: sh ")
    assert not done.stderr


@pytest.fixture
def fitting(kit: SmallKit) -> SmallKit:
    """A kit for this machine, with stand-ins for all that would change it; Ansible's place is beside the kit."""
    place = kit.directory.parent
    for name in ("apt-get", "dpkg", "df"):
        program(place / "programs" / name)
    program(place / "programs" / "python3", '[ "$1" = -c ]')
    text = INSTALLER.read_text(encoding="utf-8")
    assert text.count("tools=/opt/appliance/ansible\n") == 1
    text = text.replace("tools=/opt/appliance/ansible\n", f"tools={place}/tools\n")
    (kit.directory / "install").write_text(text, encoding="utf-8")
    here = subprocess.check_output(["sh", "-c", '. /etc/os-release && echo "$ID-$VERSION_ID"'], text=True).strip()
    (kit.directory / "kit.toml").write_text(f'release = "{here}"\n', encoding="utf-8")
    seal.write(kit.directory, place / "key" / "signing-key.pem")
    return kit


def with_ansible(kit: SmallKit, *inventory_says: str) -> None:
    """Ansible installed already: stand-ins, of which the first says what it makes of the inventory."""
    tools = kit.directory.parent / "tools"
    program(tools / "bin" / "ansible-inventory", *inventory_says)
    program(tools / "bin" / "ansible-playbook", 'echo "played $*" >&2', "exit 1")
    sums = subprocess.check_output(["sha256sum", "requirements-ansible.txt"], cwd=kit.directory, text=True)
    (tools / "installed").write_text(sums, encoding="ascii")


@pytest.mark.parametrize(
    ("inventory_says", "said"),
    [
        (["exit 5"], "names no box. It begins with appliance:, below that hosts:"),
        (["echo @appliance:"], "names no box. It begins with appliance:, below that hosts:"),
        (
            ["echo 'Origin: /b.yml:2:1' >&2", "echo '[ERROR]: Completely failed to parse x' >&2", "exit 1"],
            "is no YAML that Ansible can read near line 2. Compare",
        ),
        (["echo '[ERROR]: odd' >&2", "exit 250"], "cannot look at the inventory"),
        (["echo @appliance:", "echo '  |--box-1'"], "played --inventory"),
    ],
)
def test_inventory_without_a_box_is_refused(fitting: SmallKit, inventory_says: list[str], said: str) -> None:
    with_ansible(fitting, *inventory_says)
    assert said in install(fitting)


def test_full_disk_is_named_before_anything_is_installed(fitting: SmallKit) -> None:
    program(fitting.directory.parent / "programs" / "df", "echo Avail", "echo ' 12'")
    assert "The disk of / has 12 MiB free and at least 1024 are needed to begin. Free some" in install(fitting)


def test_disk_that_fills_up_while_ansible_is_installed_is_named(fitting: SmallKit) -> None:
    full = "echo 'OSError: [Errno 28] No space left on device' >&2"
    program(fitting.directory.parent / "programs" / "python3", f'[ "$1" = -c ] || {{ {full}; exit 1; }}')
    assert "Ansible cannot be installed from the kit: the disk is full. Free some" in install(fitting)


def test_packages_that_were_interrupted_are_finished_first(fitting: SmallKit) -> None:
    asked = fitting.directory.parent / "asked"
    program(fitting.directory.parent / "programs" / "dpkg", f'echo "$*" >>{asked}')
    with_ansible(fitting, "echo '  |--box-1'")
    install(fitting)
    assert asked.read_text(encoding="ascii").split("\n") == ["--audit", ""]
    program(fitting.directory.parent / "programs" / "dpkg", f'echo "$*" >>{asked}', "echo half")
    install(fitting)
    assert "--force-confold --configure -a" in asked.read_text(encoding="ascii")
