"""Is this directory a bundle that this box takes? Asked before anything opens what it holds.

Every file is read once: its digest is compared with what a trusted key signed
and its content with what a model's file may be. Only the manifest and the
signature are parsed before that, the manifest only after its own digest has
been found right.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from appliance.bundles.digests import CHUNK_BYTES, Report, silent
from appliance.bundles.trust import Trust
from appliance.core import bundle_version, file_content, golden, manifest, model_signature, sbom
from appliance.core.manifest import Manifest
from appliance.core.trusted_key import TrustedKey
from appliance.errors import BundleNotFound, BundleUntrusted, ModelUnusable

MAX_FILES = 4096
#: Of the manifest and of the signature: some 200 bytes a file.
MAX_DOCUMENT_BYTES = 4 * 2**20


class Files(Protocol):
    """The files of a bundle, wherever they are."""

    def sizes(self) -> dict[str, int]:
        """Length of every file by POSIX path; raises ModelUnusable where something is no plain file."""

    def open(self, name: str) -> BinaryIO:
        """One of them, to be read."""


@dataclass(frozen=True)
class Verified:
    """A bundle that passed every check.

    Args:
        directory: where it is.
        manifest: what it says of itself.
        key: who signed it.
    """

    directory: Path
    manifest: Manifest
    key: TrustedKey


@dataclass(frozen=True)
class Signed:
    """What a trusted key signed: the bundle's manifest, and the SHA-256 of every file by name."""

    manifest: Manifest
    digests: dict[str, str]
    key: TrustedKey


def directory(
    bundle: Path,
    trust: Trust,
    now: float | None,
    *,
    checks: frozenset[str] = frozenset(golden.CHECKERS),
    report: Report = silent,
) -> Verified:
    """Check a bundle's directory.

    Args:
        bundle: the directory.
        trust: the keys this box trusts.
        now: Unix time in seconds; None to take a key that has expired since (an installed bundle goes on serving).
        checks: names of the checks its golden questions may ask for.
        report: told how many bytes of how many are read.

    Raises:
        BundleNotFound: there is no such directory.
        BundleUntrusted: no signature, one of an unknown or expired key, or not the files that were signed.
        ModelUnusable: it is signed but holds something that is refused, or lacks something.
        BundleTooNew: its format is of a later appliance.
    """
    if not bundle.is_dir():
        raise BundleNotFound(f"There is no bundle directory {bundle}.", remedy="Check the path.")
    signed = files(_Directory(bundle), trust, now, checks=checks, report=report)
    return Verified(bundle, signed.manifest, signed.key)


def files(
    bundle: Files,
    trust: Trust,
    now: float | None,
    *,
    checks: frozenset[str] = frozenset(golden.CHECKERS),
    report: Report = silent,
) -> Signed:
    """Check a bundle wherever its files are; arguments and errors as those of :func:`directory`."""
    try:
        return _checked(bundle, trust, now, checks, report)
    except OSError as err:
        raise ModelUnusable(f"The bundle cannot be read: {err.strerror}.", remedy=_READ) from None


def _checked(bundle: Files, trust: Trust, now: float | None, checks: frozenset[str], report: Report) -> Signed:
    sizes = bundle.sizes()
    refused = manifest.problems(sorted(set(sizes) - {manifest.FILE_NAME, manifest.SIGNATURE_NAME}))
    if refused:
        raise ModelUnusable(f"The bundle holds a refused file: {refused[0]}.", remedy=_DO_NOT_USE)
    signed = read_signed(
        _document(bundle, manifest.SIGNATURE_NAME, sizes), _document(bundle, manifest.FILE_NAME, sizes), trust, now
    )
    _same_files(sizes, signed)
    done, total = 0, sum(sizes.values())
    documents: dict[str, Any] = {}
    for name in sorted(signed.manifest.files):
        with bundle.open(name) as file:
            content = _examine(
                file, name, sizes[name], signed.digests[name], lambda n, base=done: report(base + n, total)
            )
        done += sizes[name]
        if name.endswith(".json"):
            documents[name] = _json(name, content)
    _whole(signed.manifest, documents, checks)
    return signed


def read_signed(signature: bytes, stated: bytes, trust: Trust, now: float | None) -> Signed:
    """What a trusted key says about a bundle, from its two documents alone.

    Args:
        signature: content of ``bundle.sig``.
        stated: content of ``bundle.toml``.
        trust: the keys this box trusts.
        now: as in :func:`directory`.

    Raises:
        BundleUntrusted, ModelUnusable, BundleTooNew: as in :func:`directory`.
    """
    envelope = model_signature.parse(_decoded(signature))
    key = trust.signer(envelope, now)
    digests = model_signature.digests(envelope.payload)
    if digests.get(manifest.FILE_NAME) != hashlib.sha256(stated).hexdigest():
        raise BundleUntrusted(f"The bundle's {manifest.FILE_NAME} is not the one that was signed.")
    read = manifest.parse(_decoded(stated))
    if {name: listed.sha256 for name, listed in read.files.items()} != _without(digests, manifest.FILE_NAME):
        raise BundleUntrusted(f"The bundle's {manifest.FILE_NAME} lists other files than those that were signed.")
    bundle_version.parse(read.version)
    missing = read.missing()
    if missing:
        raise ModelUnusable(f"The bundle does not state all it must: {missing[0]} is missing.", remedy=_ASK)
    return Signed(read, digests, key)


_DO_NOT_USE = "Do not use this bundle; a file that can carry code never belongs in one."
_READ = "Copy it again, or take another stick; on the box, let this user read it."
_ASK = "Ask whoever made it for a whole one."


def _files(root: Path) -> Iterator[tuple[str, int]]:
    """Name and size of every file; no link, device or other oddity is followed or skipped."""
    count = 0
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                name = path.relative_to(root).as_posix()
                count += 1
                if count > MAX_FILES:
                    raise ModelUnusable(f"The bundle holds more than {MAX_FILES} files.")
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    folders.append(path)
                elif stat.S_ISREG(found.st_mode):
                    yield name, found.st_size
                else:
                    raise ModelUnusable(
                        f"The bundle holds {name!r}, which is a link or no plain file.", remedy=_DO_NOT_USE
                    )


class _Directory:
    """A bundle as a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def sizes(self) -> dict[str, int]:
        return dict(_files(self._root))

    def open(self, name: str) -> BinaryIO:
        return os.fdopen(os.open(self._root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def _document(bundle: Files, name: str, sizes: Mapping[str, int]) -> bytes:
    if name not in sizes:
        raise BundleUntrusted(f"The bundle has no {name}.")
    if sizes[name] > MAX_DOCUMENT_BYTES:
        raise ModelUnusable(f"The bundle's {name} is too long.")
    with bundle.open(name) as file:
        return file.read(MAX_DOCUMENT_BYTES)


def _same_files(sizes: dict[str, int], signed: Signed) -> None:
    there = set(sizes) - {manifest.SIGNATURE_NAME}
    for name in sorted(there - set(signed.digests)):
        raise BundleUntrusted(f"The bundle holds a file that was not signed: {name!r}.")
    for name in sorted(set(signed.digests) - there):
        raise BundleUntrusted(f"The bundle lacks a file that was signed: {name}.", remedy=_ASK)
    for name, listed in signed.manifest.files.items():
        if sizes[name] != listed.size_bytes:
            raise BundleUntrusted(f"The bundle's {name} is not as long as it was when it was signed.", remedy=_ASK)


def _examine(file: BinaryIO, name: str, size_bytes: int, sha256: str, report: Any) -> bytes:
    """Hash a file and judge its content; the content of a text, the header of a safetensors file."""
    head = file.read(file_content.HEAD_BYTES)
    kept_bytes = size_bytes
    why = file_content.refusal(name, head, size_bytes)
    if name.endswith(".safetensors") and not why:
        kept_bytes = 8 + (file_content.header_bytes(head) or 0)
    kept = bytearray(head[:kept_bytes])
    digest = hashlib.sha256(head)
    done = len(head)
    while data := file.read(CHUNK_BYTES):
        digest.update(data)
        kept += data[: max(0, kept_bytes - len(kept))] if not why else b""
        done += len(data)
        report(done)
    if digest.hexdigest() != sha256:
        raise BundleUntrusted(f"The bundle's {name} is not the file that was signed.", remedy=_ASK)
    if name.endswith(".safetensors") and not why:
        why = file_content.header_refusal(bytes(kept[8:]), size_bytes)
    if why:
        raise ModelUnusable(f"The bundle's {name} is refused: it {why}.", remedy=_DO_NOT_USE)
    return bytes(kept)


def _whole(stated: Manifest, documents: dict[str, Any], checks: frozenset[str]) -> None:
    for name, document in documents.items():
        for place in _code_references(name, document):
            raise ModelUnusable(f"The bundle's {name} asks to run code from the model ({place}).", remedy=_DO_NOT_USE)
    if not isinstance(documents.get("config.json"), dict):
        raise ModelUnusable("The bundle's config.json is no object.", remedy=_ASK)
    sbom.names(documents.get(stated.sbom))
    if stated.golden:
        golden.parse(documents.get(stated.golden), checks)


def _code_references(name: str, document: Any) -> list[str]:
    try:
        return list(manifest.code_references(document))
    except RecursionError:
        raise ModelUnusable(f"The bundle's {name} is nested too deeply.", remedy=_DO_NOT_USE) from None


def _json(name: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ModelUnusable(f"The bundle's {name} is not JSON.", remedy=_ASK) from None


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise BundleUntrusted("One of the bundle's documents is not text.") from None


def _without(digests: dict[str, str], name: str) -> dict[str, str]:
    return {path: digest for path, digest in digests.items() if path != name}
