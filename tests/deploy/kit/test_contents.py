"""What a kit says of itself."""

from __future__ import annotations

import json
import tomllib
import zipfile
from dataclasses import asdict
from pathlib import Path

from deploy.kit import contents, release
from deploy.kit.contents import Kit

KIT = Kit("0.1.0", "abc+", 1_800_000_000, "cpu", "debian-12", "amd64", "3.11", "bundle/a.bundle", "a-1", 5)


def small_wheel(directory: Path) -> None:
    directory.mkdir()
    with zipfile.ZipFile(directory / "one-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("one/__init__.py", "pass\n")
        archive.writestr(
            "one-1.0.dist-info/METADATA", "Metadata-Version: 2.4\nName: One\nVersion: 1.0\nLicense-Expression: MIT\n"
        )


def test_kit_toml_says_what_the_playbook_asks_for(tmp_path: Path) -> None:
    contents.write(KIT, tmp_path)
    assert tomllib.loads((tmp_path / "kit.toml").read_text(encoding="utf-8")) == {"format": 1, **asdict(KIT)}


def test_sbom_lists_wheels_and_packages_by_hash(tmp_path: Path) -> None:
    small_wheel(tmp_path / "wheels")
    (tmp_path / "debs").mkdir()
    fields = f"Package: nftables\nArchitecture: amd64\nVersion: 1.0\nDepends: libc6,\n  zlib\nSHA256: {'a' * 64}\n"
    (tmp_path / "debs" / "Packages").write_text(fields + "\n", encoding="utf-8")
    assert contents.write_sbom(KIT, release.read("debian-12", "cpu"), None, tmp_path) == 2
    listed = json.loads((tmp_path / "sbom.cdx.json").read_text(encoding="utf-8"))["components"]
    assert {part["purl"] for part in listed} == {"pkg:pypi/one@1.0", "pkg:deb/debian/nftables@1.0?arch=amd64"}
    assert all(len(part["hashes"][0]["content"]) == 64 for part in listed)


def test_unpacked_size_is_of_what_the_wheels_hold(tmp_path: Path) -> None:
    small_wheel(tmp_path / "wheels")
    assert contents.unpacked_bytes(tmp_path / "wheels") > len("pass\n")
