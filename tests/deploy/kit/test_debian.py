"""Debian packages of a kit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploy.kit import debian, release
from deploy.kit.release import KitFailed, Release

ROLES = Path(__file__).resolve().parents[3] / "ansible" / "roles"


def test_kit_holds_what_the_roles_install() -> None:
    named = debian.wanted(ROLES)
    assert {"nftables", "prometheus", "openssh-server", "auditd", "libnuma1"} <= set(named)
    assert named == sorted(set(named))


def test_list_in_any_role_is_found(tmp_path: Path) -> None:
    for role, text in (("one", "one_packages: [b, a]\none_port: 1\n"), ("two", "two_packages:\n  - a\n")):
        (tmp_path / role / "defaults").mkdir(parents=True)
        (tmp_path / role / "defaults" / "main.yml").write_text(text, encoding="utf-8")
    assert debian.wanted(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("distribution", ["debian-12", "debian-13", "ubuntu-24.04"])
def test_driver_comes_with_what_builds_it_and_the_kernel_it_is_for(distribution: str) -> None:
    named = debian.driver(ROLES, release.read(distribution, "gpu"))
    assert "dkms" in named
    assert [name for name in named if name.startswith("linux-headers-")]
    assert [name for name in named if name.startswith("linux-image-")]
    assert [name for name in named if "nvidia" in name]


def test_engine_on_a_gpu_has_a_compiler_and_pythons_headers_and_no_other_box_has() -> None:
    # triton/backends/nvidia/driver.c includes Python.h and is compiled where the engine first uses a card.
    named = debian.compiler(ROLES)
    assert {"gcc", "libc6-dev", "python3-dev"} <= set(named)
    assert not set(named) & set(debian.wanted(ROLES))


@pytest.mark.parametrize(
    ("cached", "plain"),
    [
        ("nftables_1.0.6-2_amd64.deb", "nftables_1.0.6-2_amd64.deb"),
        ("auditd_1%3a3.0.9-1_amd64.deb", "auditd_3.0.9-1_amd64.deb"),
        ("grafana.deb", "grafana.deb"),
    ],
)
def test_file_is_named_without_an_epoch(cached: str, plain: str) -> None:
    assert debian._plain(cached) == plain


def test_directory_without_packages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KitFailed, match="no Debian packages"):
        debian.add(tmp_path, tmp_path / "nvidia")


def test_missing_keyring_is_named(tmp_path: Path) -> None:
    absent = Release("debian-99", "3.99", (), tmp_path / "absent.gpg", ())
    with pytest.raises(KitFailed, match=r"absent\.gpg is missing"):
        debian.collect(absent, ["nftables"], tmp_path, tmp_path / "cache")


@pytest.mark.skipif(shutil.which("dpkg-deb") is None or shutil.which("dpkg-scanpackages") is None, reason="no dpkg-dev")
def test_packages_of_a_vendor_become_a_repository(tmp_path: Path) -> None:
    (tmp_path / "package" / "DEBIAN").mkdir(parents=True)
    control = "Package: driver\nVersion: 1:580.1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: none\n"
    (tmp_path / "package" / "DEBIAN" / "control").write_text(control, encoding="ascii")
    (tmp_path / "given").mkdir()
    debian._run(
        ["dpkg-deb", "--build", str(tmp_path / "package"), str(tmp_path / "given" / "driver_1%3a580.1_all.deb")]
    )
    assert debian.add(tmp_path / "given", tmp_path / "nvidia") == 1
    fields = next(debian.listed(tmp_path / "nvidia"))
    assert (fields["Package"], fields["Version"], len(fields["SHA256"])) == ("driver", "1:580.1", 64)
    assert (tmp_path / "nvidia" / fields["Filename"]).is_file()
