"""The layers of a finished image, as they lie in an OCI directory (``skopeo copy … oci:DIR:TAG``)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

_WHITEOUT = ".wh."


@dataclass(frozen=True)
class Entry:
    """A file in a layer: its path without a leading slash, mode bits, owner and size; ``link`` names a link's target."""

    path: str
    mode: int
    owner: tuple[int, int]
    size_bytes: int
    is_file: bool
    link: str


@dataclass(frozen=True)
class Layer:
    """One layer.

    Args:
        digest: of the compressed blob, ``sha256:…``.
        made_by: the instruction that made it, as the image's history has it; empty where it has none.
        compressed_bytes: as it is stored and sent.
        blob: the file.
    """

    digest: str
    made_by: str
    compressed_bytes: int
    blob: Path

    def entries(self) -> Iterator[Entry]:
        """What is in it, without the marks of what it takes away."""
        with self.archive() as archive:
            for member in archive:
                path = member.name.removeprefix("./").strip("/")
                if path and not path.rpartition("/")[2].startswith(_WHITEOUT):
                    link = member.linkname if member.issym() or member.islnk() else ""
                    owner = (member.uid, member.gid)
                    yield Entry(path, member.mode, owner, member.size, member.isfile() or member.islnk(), link)

    def read(self, path: str) -> bytes | None:
        """A file's content; None if it is not in this layer."""
        with self.archive() as archive:
            for member in archive:
                if member.name.removeprefix("./").strip("/") == path and member.isfile():
                    return cast("IO[bytes]", archive.extractfile(member)).read()
        return None

    def archive(self) -> tarfile.TarFile:
        """The layer itself; close it."""
        return tarfile.open(self.blob, mode="r:*")


@dataclass(frozen=True)
class Image:
    """A finished image: its configuration as the OCI image specification has it, and its layers, lowest first."""

    config: dict[str, Any]
    layers: tuple[Layer, ...]

    @property
    def compressed_bytes(self) -> int:
        """What a machine without any of its layers has to fetch."""
        return sum(layer.compressed_bytes for layer in self.layers)

    def read(self, path: str) -> bytes:
        """The content of a file, as the topmost layer has it.

        Raises:
            FileNotFoundError: no layer has it.
        """
        for layer in reversed(self.layers):
            if (content := layer.read(path)) is not None:
                return content
        raise FileNotFoundError(path)


def read(directory: Path) -> Image:
    """The image in an OCI directory that holds one."""
    index = json.loads((directory / "index.json").read_bytes())
    manifest = json.loads(_blob(directory, index["manifests"][0]["digest"]).read_bytes())
    config = json.loads(_blob(directory, manifest["config"]["digest"]).read_bytes())
    steps = [step.get("created_by", "") for step in config.get("history", []) if not step.get("empty_layer")]
    steps = [""] * (len(manifest["layers"]) - len(steps)) + steps
    layers = tuple(
        Layer(part["digest"], made_by, part["size"], _blob(directory, part["digest"]))
        for part, made_by in zip(manifest["layers"], steps, strict=True)
    )
    return Image(config, layers)


def _blob(directory: Path, digest: str) -> Path:
    return directory / "blobs" / digest.replace(":", "/")
