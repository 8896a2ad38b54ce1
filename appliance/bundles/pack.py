"""Makes a bundle of a directory of model files: states what is in it, and packs it into one file to carry.

The same files and statements give the same bytes: names are sorted, nothing is
dated, nothing says who or where.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO

from appliance import durable
from appliance.bundles import digests
from appliance.bundles.digests import Report, silent
from appliance.core import bundle_version, golden, manifest, sbom
from appliance.core.manifest import Manifest
from appliance.core.sbom import Component
from appliance.errors import ModelUnusable

#: End of the name of a packed bundle: a plain tar file, not compressed (weights do not shrink).
SUFFIX = ".bundle"
_FILE_MODE = 0o644  # the engine's user is not the one who packed it
_DIRECTORY_MODE = 0o755


def seal(directory: Path, stated: Manifest, components: Iterable[Component]) -> Manifest:
    """Write a directory's list of components and its manifest; after this it can be signed.

    Args:
        directory: config, tokenizer, chat template, safetensors, perhaps ``golden.json``; nothing else.
        stated: everything but ``files``, ``sbom`` and ``golden``, which are found out here.
        components: what the model was made of.

    Returns:
        The manifest as written.

    Raises:
        ModelUnusable: a file is refused, or something is missing that a signed bundle must have.
    """
    bundle_version.parse(stated.version)
    for name in (manifest.FILE_NAME, manifest.SIGNATURE_NAME):
        (directory / name).unlink(missing_ok=True)
    itself = Component("machine-learning-model", stated.name, stated.version, stated.licence)
    durable.write(directory / sbom.FILE_NAME, sbom.render(itself, components).encode(), mode=_FILE_MODE)
    for path in directory.rglob("*"):
        if path.is_symlink():
            raise ModelUnusable(f"The model directory holds a link: {path.relative_to(directory)}.")
        path.chmod(_DIRECTORY_MODE if path.is_dir() else _FILE_MODE)
    directory.chmod(_DIRECTORY_MODE)
    files = digests.of_directory(directory)
    questions = golden.FILE_NAME if golden.FILE_NAME in files else ""
    sealed = replace(stated, sbom=sbom.FILE_NAME, golden=questions, files=files)
    if missing := sealed.missing():
        raise ModelUnusable(f"The bundle does not state all it must: {missing[0]} is missing.")
    durable.write(directory / manifest.FILE_NAME, manifest.render(sealed).encode(), mode=_FILE_MODE)
    return sealed


def archive(directory: Path, target: Path, report: Report = silent) -> Path:
    """Pack a bundle's directory into one file.

    Args:
        directory: a sealed and signed bundle.
        target: the file to write; or a directory, to write ``<name>-<version>.bundle`` into.
        report: told how many bytes of how many are packed.

    Raises:
        ModelUnusable: the directory is not sealed, or not signed.
    """
    stated = digests.read_manifest(directory)
    if not (directory / manifest.SIGNATURE_NAME).is_file():
        raise ModelUnusable("The bundle is not signed.", remedy="Sign it with `appliance bundle sign` first.")
    if target.is_dir():
        target = target / f"{stated.directory_name}{SUFFIX}"
    # The two documents first: whoever reads the file knows what it is before the weights come.
    names = [manifest.FILE_NAME, manifest.SIGNATURE_NAME, *sorted(stated.files)]
    total = sum((directory / name).stat().st_size for name in names)
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    done = 0
    with (
        durable.exclusive(fresh, _FILE_MODE) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in names:
            with (directory / name).open("rb") as content:
                entry = member(name, os.fstat(content.fileno()).st_size)
                tar.addfile(entry, _Counted(content, done, total, report))
                done += entry.size
    fresh.replace(target)
    durable.sync_directory(target.parent)
    return target


def member(name: str, size_bytes: int) -> tarfile.TarInfo:
    """How a file is entered in a packed bundle: with nothing but its name and length."""
    entry = tarfile.TarInfo(name)
    entry.size = size_bytes
    entry.mode = _FILE_MODE
    return entry  # time, owner and group stay at 0 and empty


class _Counted:
    """A file that reports how much of all files has been read."""

    def __init__(self, file: IO[bytes], before: int, total: int, report: Report) -> None:
        self._file = file
        self._done = before
        self._total = total
        self._report = report

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._done += len(data)
        self._report(self._done, self._total)
        return data
