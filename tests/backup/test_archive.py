"""Claims about ``backup.archive``."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pyrage
import pytest

from appliance.backup import archive, recovery_key
from appliance.core import backup
from appliance.core.backup import Manifest, Member
from appliance.errors import BackupUnusable

PAIR = recovery_key.make()
RECIPIENT = recovery_key.recipient(PAIR.public)
NAMES = ("keys.sqlite3", "trust/vendor.toml")


@pytest.fixture
def identity(tmp_path: Path) -> pyrage.x25519.Identity:
    recovery_key.save(PAIR, tmp_path / "key")
    return recovery_key.read(tmp_path / "key")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    (tmp_path / "from" / "trust").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "from" / name).write_bytes(name.encode() * 100_000)
    return Manifest(1, "0.1.0", {name: archive.member(tmp_path / "from" / name) for name in NAMES})


@pytest.fixture
def packed(tmp_path: Path, manifest: Manifest) -> Path:
    with (tmp_path / "x.age").open("wb") as file:
        archive.pack(tmp_path / "from", manifest, RECIPIENT, file)
    (tmp_path / "to").mkdir()
    return tmp_path / "x.age"


def test_what_was_packed_comes_out(tmp_path: Path, packed: Path, manifest: Manifest, identity) -> None:
    assert archive.is_age_file(packed)
    assert archive.unpack(packed, identity, tmp_path / "to") == manifest
    for name in NAMES:
        assert (tmp_path / "to" / name).read_bytes() == (tmp_path / "from" / name).read_bytes()
    assert {path.name for path in (tmp_path / "to").iterdir()} == {"keys.sqlite3", "trust"}


@pytest.mark.skipif(shutil.which("age") is None, reason="age is not installed")
def test_ages_own_program_opens_it(tmp_path: Path, packed: Path, identity) -> None:
    done = subprocess.run(["age", "-d", "-i", tmp_path / "key", packed], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        assert tar.getnames() == [backup.MANIFEST_NAME, *NAMES]


def test_no_plain_word_is_in_the_file(packed: Path) -> None:
    content = packed.read_bytes()
    assert b"vendor" not in content
    assert b"manifest" not in content


def test_another_key_does_not_open_it(tmp_path: Path, packed: Path) -> None:
    recovery_key.save(recovery_key.make(), tmp_path / "other")
    with pytest.raises(BackupUnusable, match="made for another recovery key"):
        archive.unpack(packed, recovery_key.read(tmp_path / "other"), tmp_path / "to")


@pytest.mark.parametrize("where", [0.01, 0.5, 0.99])
def test_a_changed_byte_is_found(tmp_path: Path, packed: Path, identity, where: float) -> None:
    content = bytearray(packed.read_bytes())
    content[int(len(content) * where)] ^= 1
    packed.write_bytes(content)
    with pytest.raises(BackupUnusable):
        archive.unpack(packed, identity, tmp_path / "to")


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
def test_a_file_cut_short_is_found(tmp_path: Path, packed: Path, identity, share: float) -> None:
    content = packed.read_bytes()
    packed.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BackupUnusable):
        archive.unpack(packed, identity, tmp_path / "to")


def sealed(tmp_path: Path, entries: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """An age file of somebody who has the public key and writes what he likes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    (tmp_path / "evil.age").write_bytes(pyrage.encrypt(plain.getvalue(), [RECIPIENT]))
    (tmp_path / "to").mkdir(exist_ok=True)
    return tmp_path / "evil.age"


def entry(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../out", tarfile.REGTYPE),
        ("/tmp/out", tarfile.REGTYPE),
        ("trust/x.toml", tarfile.SYMTYPE),
        ("bundles", tarfile.DIRTYPE),
    ],
)
def test_an_archive_writes_nothing_that_its_manifest_may_not_list(
    tmp_path: Path, identity, name: str, kind: bytes
) -> None:
    listing = backup.render(Manifest(1, "0.1.0", {"trust/x.toml": Member(0, "a" * 64)}))
    path = sealed(tmp_path, [(entry("manifest.json"), listing), (entry(name, kind), b"")])
    with pytest.raises(BackupUnusable, match="no backup of this appliance"):
        archive.unpack(path, identity, tmp_path / "to")
    assert not list((tmp_path / "to").rglob("*.toml"))


def test_a_member_that_is_missing_is_told(tmp_path: Path, identity) -> None:
    listing = backup.render(Manifest(1, "0.1.0", {"keys.sqlite3": Member(0, "a" * 64)}))
    with pytest.raises(BackupUnusable, match="is missing"):
        archive.unpack(sealed(tmp_path, [(entry("manifest.json"), listing)]), identity, tmp_path / "to")


def test_an_archive_without_a_manifest_is_refused(tmp_path: Path, identity) -> None:
    with pytest.raises(BackupUnusable, match="does not begin with its manifest"):
        archive.unpack(sealed(tmp_path, [(entry("keys.sqlite3"), b"x")]), identity, tmp_path / "to")
