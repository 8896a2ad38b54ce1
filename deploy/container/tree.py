"""Who each file of an image belongs to: a package of Debian's, a distribution of Python's, or nobody.

Debian's packages list their files below ``var/lib/dpkg/info``, Python's in the
``RECORD`` of their ``dist-info``. Compiled Python belongs to whom its source
belongs to. Directories, links and device nodes hold nothing and are left out.
"""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

_DPKG = "var/lib/dpkg"
_NOT_FILES = frozenset({"proc", "sys", "dev"})
#: Where a runtime, and a build, puts files of its own in place of what the image has.
RUNTIMES = frozenset({"etc/hostname", "etc/hosts", "etc/resolv.conf"})
_MARKS = frozenset({"run/.containerenv", ".dockerenv"})


@dataclass(frozen=True)
class Package:
    """A package of Debian's, as dpkg has it: name, version and architecture."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True)
class Distribution:
    """A distribution of Python's: name, version, licence (an SPDX expression or empty)."""

    name: str
    version: str
    licence: str


def packages(root: Path) -> list[Package]:
    """The installed packages of Debian's below ``root``, sorted by name."""
    found = []
    for paragraph in (root / _DPKG / "status").read_text(encoding="utf-8").split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        if fields.get("Status", "").endswith(" installed"):
            found.append(Package(fields["Package"], fields["Version"], fields["Architecture"]))
    return sorted(found, key=lambda package: package.name)


def distributions(root: Path) -> list[Distribution]:
    """Python's distributions below ``root``, sorted by name."""
    found = []
    for metadata in _dist_infos(root):
        fields = HeaderParser().parsestr((metadata / "METADATA").read_text(encoding="utf-8", errors="replace"))
        found.append(Distribution(fields["Name"], fields["Version"], fields.get("License-Expression", "")))
    return sorted(found, key=lambda one: one.name.lower())


def owned(root: Path) -> frozenset[str]:
    """The paths that packages and distributions list, from ``root`` on, without a leading slash.

    dpkg's own notes on a package are the package's too.
    """
    paths: set[str] = set()
    notes = root / _DPKG / "info"
    paths.update(f"{_DPKG}/info/{entry.name}" for entry in notes.iterdir())
    for listing in notes.glob("*.list"):
        paths.update(_real(root, line) for line in listing.read_text(encoding="utf-8").splitlines())
    for metadata in _dist_infos(root):
        folder = metadata.parent
        with (metadata / "RECORD").open(encoding="utf-8", newline="") as record:
            paths.update(os.path.normpath(f"{folder}/{row[0]}") for row in csv.reader(record) if row)
    prefix = f"{root}/".replace("//", "/")
    return frozenset(path.removeprefix(prefix) for path in paths)


def belongs(path: str, listed: frozenset[str] | set[str]) -> bool:
    """Whether a file is listed, or compiled from one that is: ``x/__pycache__/y.cpython-311.pyc`` from ``x/y.py``."""
    if path in listed:
        return True
    file = PurePosixPath(path)
    if file.suffix != ".pyc" or file.parent.name != "__pycache__":
        return False
    return f"{file.parent.parent}/{file.name.partition('.')[0]}.py" in listed


def files(root: Path, without: Iterable[Path] = ()) -> Iterator[Path]:
    """Every regular file below ``root``, sorted; not what the kernel shows, and not below ``without``."""
    skipped = {root / name for name in _NOT_FILES | _MARKS} | set(without)
    for folder, names, entries in os.walk(root):
        here = Path(folder)
        names[:] = sorted(name for name in names if here / name not in skipped)
        for name in sorted(entries):
            if here / name not in skipped and stat.S_ISREG((here / name).lstat().st_mode):
                yield here / name


def _dist_infos(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob("opt/**/site-packages/*.dist-info/METADATA"))


def _real(root: Path, listed: str) -> str:
    """A path as the file system has it: Debian lists ``/bin/x``, and ``/bin`` is a link to ``/usr/bin``."""
    folder, _, name = listed.rpartition("/")
    return f"{os.path.realpath(root / folder.lstrip('/'))}/{name}"
