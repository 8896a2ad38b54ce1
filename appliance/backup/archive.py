"""One age file from a directory, and back."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from pathlib import Path
from typing import IO, BinaryIO

import pyrage
from pyrage import x25519

from appliance import durable
from appliance.core import backup
from appliance.core.backup import Manifest, Member
from appliance.errors import BackupUnusable

_FILE_MODE = 0o600
_CHUNK_BYTES = 2**20
#: How an age file with an X25519 recipient begins (https://age-encryption.org/v1).
_HEADER = b"age-encryption.org/v1\n-> X25519 "


def member(path: Path) -> Member:
    """Length and digest of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Member(size, digest.hexdigest())


def pack(directory: Path, manifest: Manifest, recipient: x25519.Recipient, target: BinaryIO) -> None:
    """Write the members of a manifest into one age file.

    Args:
        directory: holds them by name; the plain archive is made in it, too.
        manifest: names them.
        recipient: public recovery key.
        target: takes the age file.
    """
    with tempfile.TemporaryFile(dir=directory) as plain:
        _write_tar(directory, manifest, plain)
        plain.seek(0)
        pyrage.encrypt_io(plain, target, [recipient])


def is_age_file(path: Path) -> bool:
    """Whether a file begins as one that is encrypted to a recovery key."""
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def unpack(path: Path, identity: x25519.Identity, into: Path) -> Manifest:
    """Take an age file apart and see that all of it is there and right.

    Args:
        path: the age file.
        identity: private recovery key.
        into: an empty directory of this process's own.

    Raises:
        BackupUnusable: another key, a changed or cut file, or content that no backup has.
    """
    try:
        with path.open("rb") as sealed, tempfile.TemporaryFile(dir=into) as plain:
            pyrage.decrypt_io(sealed, plain, [identity])
            plain.seek(0)
            return _read_tar(plain, into)
    except pyrage.DecryptError:
        raise BackupUnusable(
            f"{path.name} cannot be opened: it is damaged, or was made for another recovery key.",
            remedy="Compare its note's recipient with the public key in the safe, or use another backup.",
        ) from None
    except (tarfile.TarError, EOFError, ValueError) as err:
        raise BackupUnusable(f"{path.name} is no backup of this appliance: {err}.") from None
    except OSError as err:
        raise BackupUnusable(f"{path} cannot be read: {err}.", remedy="Check the path and the disk.") from None


def _write_tar(directory: Path, manifest: Manifest, plain: IO[bytes]) -> None:
    with tarfile.open(fileobj=plain, mode="w:gz", format=tarfile.PAX_FORMAT, compresslevel=6) as tar:
        text = backup.render(manifest)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(text)
            file.seek(0)
            tar.addfile(_entry(backup.MANIFEST_NAME, len(text), manifest.made_at), file)
        for name, listed in manifest.files.items():
            with (directory / name).open("rb") as content:
                tar.addfile(_entry(name, listed.size_bytes, manifest.made_at), content)


def _entry(name: str, size: int, at: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, at, _FILE_MODE
    return entry


def _read_tar(plain: IO[bytes], into: Path) -> Manifest:
    with tarfile.open(fileobj=plain, mode="r:gz") as tar:
        first = tar.next()
        if first is None or first.name != backup.MANIFEST_NAME or first.size > backup.MAX_MANIFEST_BYTES:
            raise ValueError("it does not begin with its manifest")
        content = tar.extractfile(first)
        manifest = backup.parse(content.read() if content else b"")
        seen = set()
        for entry in tar:
            if entry.name == backup.MANIFEST_NAME:
                continue
            listed = manifest.files.get(entry.name)
            if listed is None or not entry.isreg() or entry.size != listed.size_bytes or entry.name in seen:
                raise ValueError("it holds what its manifest does not list")
            seen.add(entry.name)
            _extract(tar, entry, into / entry.name)
            if member(into / entry.name) != listed:
                raise ValueError(f"{entry.name} is not what the manifest says")
        if seen != set(manifest.files):
            raise ValueError("something that its manifest lists is missing")
    return manifest


def _extract(tar: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    content = tar.extractfile(entry)
    if content is None:
        raise ValueError("it holds something that is no file")
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with content, durable.exclusive(target, _FILE_MODE) as file:
        while chunk := content.read(_CHUNK_BYTES):
            file.write(chunk)
