"""A small sealed kit, and the key that it must be signed by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.kit import seal


@dataclass(frozen=True)
class SmallKit:
    """A kit's directory and its maker's public key, as PEM text."""

    directory: Path
    public_key: str


def small_kit(place: Path) -> SmallKit:
    """A kit of three files, sealed with a key of its own."""
    kit = place / "kit"
    (kit / "wheels").mkdir(parents=True)
    (kit / "kit.toml").write_text('format = 1\nversion = "0.1.0"\nrelease = "debian-12"\n', encoding="utf-8")
    (kit / "wheels" / "one.whl").write_bytes(b"wheel")
    (kit / "requirements-ansible.txt").write_text("", encoding="utf-8")
    return SmallKit(kit, seal.write(kit, seal.machine_key(place / "key" / "signing-key.pem")))
