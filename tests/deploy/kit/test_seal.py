"""A kit's digests and signature, checked with the programs that a bare host has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.kit import seal
from deploy.kit.release import KitFailed
from tests.deploy.kit.made import small_kit


def test_openssl_and_sha256sum_take_a_sealed_kit(tmp_path: Path) -> None:
    kit = small_kit(tmp_path)
    key = tmp_path / "public.pem"
    key.write_text(kit.public_key, encoding="ascii")
    openssl = ["openssl", "dgst", "-sha256", "-verify", str(key), "-signature", seal.SIGNATURE, seal.SUMS]
    assert subprocess.run(openssl, cwd=kit.directory, capture_output=True, check=False).returncode == 0
    sums = ["sha256sum", "--quiet", "--strict", "--check", seal.SUMS]
    assert subprocess.run(sums, cwd=kit.directory, capture_output=True, check=False).returncode == 0


def test_openssl_refuses_a_changed_list(tmp_path: Path) -> None:
    kit = small_kit(tmp_path)
    key = tmp_path / "public.pem"
    key.write_text(kit.public_key, encoding="ascii")
    sums = kit.directory / seal.SUMS
    sums.write_text(sums.read_text(encoding="ascii").replace("0", "1", 1), encoding="ascii")
    openssl = ["openssl", "dgst", "-sha256", "-verify", str(key), "-signature", seal.SIGNATURE, seal.SUMS]
    assert subprocess.run(openssl, cwd=kit.directory, capture_output=True, check=False).returncode != 0


def test_every_file_but_the_seal_itself_is_listed(tmp_path: Path) -> None:
    kit = small_kit(tmp_path)
    listed = [line.split("  ")[1] for line in (kit.directory / seal.SUMS).read_text(encoding="ascii").splitlines()]
    assert listed == ["kit.toml", "requirements-ansible.txt", "wheels/one.whl"]


def test_same_files_and_key_give_the_same_seal(tmp_path: Path) -> None:
    kit = small_kit(tmp_path)
    before = (kit.directory / seal.SIGNATURE).read_bytes()
    seal.write(kit.directory, tmp_path / "key" / "signing-key.pem")
    assert (kit.directory / seal.SIGNATURE).read_bytes() == before


def test_link_is_refused(tmp_path: Path) -> None:
    kit = small_kit(tmp_path)
    (kit.directory / "link").symlink_to("/etc/passwd")
    with pytest.raises(KitFailed, match="plain files"):
        seal.write(kit.directory, tmp_path / "key" / "signing-key.pem")


def test_machine_key_is_made_once(tmp_path: Path) -> None:
    path = seal.machine_key(tmp_path / "key.pem")
    before = path.read_bytes()
    assert seal.machine_key(path).read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o600
