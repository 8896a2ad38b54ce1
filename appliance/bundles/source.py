"""Where a bundle comes from: a directory, or one packed file, such as on a USB stick.

Nothing is unpacked by its own instructions: a member is read by name, and only
if it is a plain file.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO

from appliance.bundles import pack
from appliance.bundles.pack import SUFFIX
from appliance.bundles.verify import MAX_DOCUMENT_BYTES, MAX_FILES
from appliance.core import manifest
from appliance.errors import BundleNotFound, BundleUntrusted, ModelUnusable


class Source(ABC):
    """A bundle that can be read file by file."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """One of its files.

        Raises:
            BundleUntrusted: there is no such file.
            ModelUnusable: it is no plain file, or cannot be read.
        """

    @abstractmethod
    def names(self) -> set[str]:
        """POSIX paths of all there is, directories not counted."""

    def document(self, name: str) -> bytes:
        """The whole of a short file; raises as :meth:`open`."""
        with self.open(name) as file:
            content = read(file, name, MAX_DOCUMENT_BYTES + 1)
        if len(content) > MAX_DOCUMENT_BYTES:
            raise ModelUnusable(f"The bundle's {name} is too long.")
        return content


def read(file: BinaryIO, name: str, size_bytes: int) -> bytes:
    """Some bytes of an open file of a bundle; raises ModelUnusable where the stick or disk fails."""
    try:
        return file.read(size_bytes)
    except OSError as err:
        raise ModelUnusable(
            f"The bundle's {name} cannot be read: {err.strerror}.", remedy="Copy it again, or take another stick."
        ) from None


def find(path: Path) -> Source:
    """The bundle at a path: its directory, its packed file, or a directory that holds one packed file.

    Raises:
        BundleNotFound: there is none, or more than one.
        ModelUnusable: the file is no packed bundle.
    """
    if path.is_file():
        return PackedSource(path)
    if not path.is_dir():
        raise BundleNotFound(f"There is no bundle at {path}.", remedy="Check the path; is the stick mounted?")
    if (path / manifest.FILE_NAME).is_file():
        return DirectorySource(path)
    packed = sorted(path.glob(f"*{SUFFIX}"))
    if len(packed) == 1:
        return PackedSource(packed[0])
    if packed:
        names = ", ".join(file.name for file in packed)
        raise BundleNotFound(f"There is more than one bundle in {path}: {names}.", remedy="Name one of them.")
    raise BundleNotFound(f"There is no bundle in {path}.", remedy=f"Name a *{SUFFIX} file or a bundle's directory.")


class DirectorySource(Source):
    """A bundle as a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, name: str) -> BinaryIO:
        """As :meth:`Source.open`."""
        try:
            descriptor = os.open(self._root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise BundleUntrusted(f"The bundle has no {name}.") from None
        except OSError as err:
            raise ModelUnusable(f"The bundle's {name} cannot be read: {err.strerror}.") from None
        file = os.fdopen(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            raise ModelUnusable(f"The bundle's {name} is no plain file.")
        return file

    def names(self) -> set[str]:
        """As :meth:`Source.names`."""
        return {
            path.relative_to(self._root).as_posix()
            for path in self._root.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }


class _Part(io.RawIOBase):
    """A stretch of a file."""

    def __init__(self, file: BinaryIO, start: int, size_bytes: int) -> None:
        super().__init__()
        self._file = file
        self._start = start
        self._size_bytes = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}[whence]
        self._position = min(max(0, base + offset), self._size_bytes)
        return self._position

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._position)
        data = self._file.read(min(len(buffer), self._size_bytes - self._position))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


class PackedSource(Source):
    """A bundle as one tar file.

    Raises:
        ModelUnusable: it is none, or has members that no packed bundle has.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(path, mode="r:") as tar:
                for member in tar:
                    self._add(member)
            canonical = self._is_canonical()
        except (tarfile.TarError, OSError, EOFError, ValueError):
            canonical = False
        if not canonical:
            raise ModelUnusable(f"{path} is no packed bundle, or was changed or cut off.", remedy="Copy it again.")

    def _add(self, member: tarfile.TarInfo) -> None:
        plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
        if not plain or member.name in self._places or len(self._places) >= MAX_FILES:
            raise ModelUnusable(f"The packed bundle holds {member.name!r}, which is no plain file or is there twice.")
        self._places[member.name] = (member.offset_data, member.size)

    def _is_canonical(self) -> bool:
        """Whether all that is not content is as :func:`pack.archive` writes it: headers, padding, the end."""
        with self._path.open("rb") as file:
            for name, (start, size_bytes) in self._places.items():
                header = pack.member(name, size_bytes).tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
                if file.tell() + len(header) != start or file.read(len(header)) != header:
                    return False
                file.seek(start + size_bytes)
                if any(file.read(-size_bytes % tarfile.BLOCKSIZE)):
                    return False
            end = file.tell() + 2 * tarfile.BLOCKSIZE
            rest = file.read(2 * tarfile.RECORDSIZE + 1)
            return not any(rest) and file.tell() == end + -end % tarfile.RECORDSIZE

    def open(self, name: str) -> BinaryIO:
        """As :meth:`Source.open`."""
        if name not in self._places:
            raise BundleUntrusted(f"The bundle has no {name}.")
        start, size_bytes = self._places[name]
        try:
            file = self._path.open("rb")
        except OSError as err:
            raise ModelUnusable(f"The bundle {self._path} cannot be read: {err.strerror}.") from None
        return io.BufferedReader(_Part(file, start, size_bytes))

    def names(self) -> set[str]:
        """As :meth:`Source.names`."""
        return set(self._places)

    def sizes(self) -> dict[str, int]:
        """As :meth:`verify.Files.sizes`."""
        return {name: size_bytes for name, (_, size_bytes) in self._places.items()}
