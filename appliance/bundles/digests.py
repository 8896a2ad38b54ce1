"""SHA-256 of files and of whole model directories, held against what is pinned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from appliance.core import manifest
from appliance.core.manifest import Listed, Manifest
from appliance.core.recipe import Pinned
from appliance.errors import ModelUnusable

#: ``report(bytes done, bytes in all)``, called while something long goes on.
Report = Callable[[int, int], None]
CHUNK_BYTES = 4 * 2**20


def silent(_done: int, _total: int) -> None:
    """A :data:`Report` that tells nobody."""


def of_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_directory(directory: Path) -> dict[str, Listed]:
    """SHA-256 and size of every file below ``directory`` but its manifest, by POSIX path relative to it."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    names = {path.relative_to(directory).as_posix(): path for path in files}
    return {
        name: Listed(of_file(path), path.stat().st_size) for name, path in names.items() if name != manifest.FILE_NAME
    }


def is_pinned(path: Path, pinned: Pinned) -> bool:
    """Whether ``path`` is a file with exactly the pinned content; the cheap test of its size comes first."""
    return path.is_file() and path.stat().st_size == pinned.size_bytes and of_file(path) == pinned.sha256


def damage(directory: Path) -> str:
    """What is wrong with a model directory: ``""`` if every file is as its manifest says.

    The directory must exist. The answer is a phrase that follows "the model" in a sentence.
    """
    try:
        stated = read_manifest(directory)
    except ModelUnusable:
        return "has no valid bundle.toml"
    found = of_directory(directory)
    for name in sorted(set(stated.files) | set(found)):
        if name not in found:
            return f"lacks {name}"
        if name not in stated.files:
            return f"holds {name}, which its bundle.toml does not list"
        if stated.files[name] != found[name]:
            return f"holds a changed {name}"
    return ""


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a model directory.

    Raises:
        ModelUnusable: it is missing or not valid.
    """
    try:
        return manifest.parse((directory / manifest.FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ModelUnusable(f"The model directory has no readable {manifest.FILE_NAME}.") from None
