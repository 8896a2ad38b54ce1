"""The releases a kit is made for: where their packages come from, and which Python they have."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("releases.toml")
ARCHITECTURE = "amd64"


class KitFailed(Exception):
    """The kit cannot be made; the text says why and what to do, in a sentence each."""


@dataclass(frozen=True)
class Release:
    """One release of Debian or Ubuntu.

    Args:
        name: ``debian-12``; the distribution and its version as /etc/os-release has them.
        python: the version of its ``python3``, such as ``3.11``.
        variants: which engines a kit for it can have (wheels.LOCKS).
        keyring: file of the keys that its package lists are signed with.
        sources: lines of apt's sources.list, without options: ``URI suite component…``.
    """

    name: str
    python: str
    variants: tuple[str, ...]
    keyring: Path
    sources: tuple[str, ...]


def read(name: str, variant: str, file: Path = FILE) -> Release:
    """One release by name.

    Raises:
        KitFailed: it is not in the file, or a kit with this engine cannot be made for it.
    """
    stated = tomllib.loads(file.read_text(encoding="utf-8"))
    if name not in stated:
        raise KitFailed(f"There is no release {name!r}. Choose one of: {', '.join(sorted(stated))}.")
    values = stated[name]
    if variant not in values["variants"]:
        others = [other for other, its in sorted(stated.items()) if variant in its["variants"]]
        raise KitFailed(
            f"A {variant} kit cannot be made for {name} and its Python {values['python']}. Choose "
            f"VARIANT={' or '.join(values['variants'])}, or RELEASE={' or '.join(others)}."
        )
    return Release(name, values["python"], tuple(values["variants"]), Path(values["keyring"]), tuple(values["sources"]))
