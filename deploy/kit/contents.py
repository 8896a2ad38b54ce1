"""What a kit is and what is in it: ``kit.toml`` for the playbook, the SBOM for whoever audits."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.core import sbom
from appliance.core.manifest import Manifest
from appliance.core.sbom import Component
from deploy.kit import debian, wheels
from deploy.kit.release import Release

FILE_NAME = "kit.toml"
FORMAT = 1


@dataclass(frozen=True)
class Kit:
    """What ``kit.toml`` states.

    Args:
        version: of the appliance.
        commit: that it was made from, with ``+`` if the tree had changes; empty outside a repository.
        made_at: Unix time in seconds: a clock that is before this is wrong.
        variant: ``cpu``, ``gpu`` or ``gateway``.
        release: ``debian-12`` …
        architecture: of Debian's packages.
        python: the host's, such as ``3.11``.
        bundle: the packed bundle's path in the kit.
        bundle_name: its directory's name on the box; empty without one.
        disk_bytes: what an installation takes, unpacked, roughly.
    """

    version: str
    commit: str
    made_at: int
    variant: str
    release: str
    architecture: str
    python: str
    bundle: str
    bundle_name: str
    disk_bytes: int


def write(kit: Kit, directory: Path) -> None:
    """Write ``kit.toml``."""
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in {"format": FORMAT, **asdict(kit)}.items()]
    (directory / FILE_NAME).write_text("".join(lines), encoding="utf-8")


def unpacked_bytes(wheels: Path) -> int:
    """How much the wheels hold when they are unpacked."""
    total = 0
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            total += sum(entry.file_size for entry in archive.infolist())
    return total


def write_sbom(kit: Kit, release: Release, model: Manifest | None, directory: Path) -> int:
    """Write the list of components; how many it has."""
    parts = [*_wheels(directory / "wheels"), *_debian(directory / "debs", release)]
    for further in ("nvidia", "extra"):
        if (directory / further).is_dir():
            parts += _debian(directory / further, release)
    if model is not None:
        parts.append(Component("machine-learning-model", model.name, model.version, model.licence))
    itself = Component("application", "appliance-offline-kit", kit.version)
    (directory / sbom.FILE_NAME).write_text(sbom.render(itself, parts), encoding="utf-8")
    return len(parts)


def commit(root: Path) -> str:
    """The commit of a checkout, with ``+`` where files differ from it; empty if there is no repository."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "--short=12", "HEAD")
    return f"{head}+" if head and git("status", "--porcelain") else head


def _wheels(directory: Path) -> list[Component]:
    found = []
    for wheel in sorted(directory.glob("*.whl")):
        fields = wheels.described(wheel)
        package, version = fields["Name"], fields["Version"]
        licence = fields.get("License-Expression", "")
        purl = f"pkg:pypi/{package.lower()}@{version}"
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        found.append(Component("library", package, version, licence, purl, digest))
    return found


def _debian(directory: Path, release: Release) -> list[Component]:
    vendor = release.name.partition("-")[0]
    return [
        Component(
            "library",
            fields["Package"],
            fields["Version"],
            purl=f"pkg:deb/{vendor}/{fields['Package']}@{fields['Version']}?arch={fields['Architecture']}",
            sha256=fields["SHA256"],
        )
        for fields in debian.listed(directory)
    ]
