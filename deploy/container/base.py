"""``python -m deploy.container.base --out base.tar``: Debian's smallest system as the base of an image.

For machines that no registry of images reaches. It is what
``debian:bookworm-slim`` is, the essential packages without manuals and
translations, but of today: the security suite is in it. With one
``SOURCE_DATE_EPOCH`` and one state of the mirror it is the same to the byte.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from deploy.kit import release
from deploy.kit.release import KitFailed, Release

#: As the maintainers of Debian's own images leave out.
_EXCLUDED = ("man", "info", "locale", "doc", "lintian", "linda", "groff", "omf", "help", "gnome/help")
#: What an installation leaves behind: device nodes, this machine's name, logs, locks, earlier versions of files.
_LEAVINGS = re.compile(
    r"(\./)?(dev/.+|etc/(hostname|resolv\.conf|\w+-)|var/(log|cache)/.+|var/lib/(apt/lists/.+|dpkg/\w+-old))"
)


def make(wanted: Release, out: Path) -> None:
    """Write the system as an uncompressed archive.

    Raises:
        KitFailed: mmdebstrap is missing or cannot reach the mirror.
    """
    if shutil.which("mmdebstrap") is None:
        raise KitFailed("mmdebstrap is missing. Run: sudo apt-get install -y mmdebstrap")
    options = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _EXCLUDED]
    options += ["--dpkgopt=path-include=/usr/share/doc/*/copyright", f"--keyring={wanted.keyring}"]
    suite = wanted.sources[0].split()[1]
    making = out.with_name(f".{out.name}.making")
    command = [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--format=tar",
        "--variant=minbase",
        *options,
        suite,
        str(making),
    ]
    command += [f"deb {source}" for source in wanted.sources]
    environment = {"SOURCE_DATE_EPOCH": "315532800", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        making.unlink(missing_ok=True)
        said = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
        raise KitFailed(f"The base of the image cannot be made: {(said or ['no word'])[-1]}")
    cleaned = making.with_suffix(".cleaned")
    clean(making, cleaned)
    making.unlink()
    cleaned.rename(out)


def clean(source: Path, target: Path) -> None:
    """Copy an archive of a file system without what its installation left behind; directories stay."""
    with tarfile.open(source) as given, tarfile.open(target, "w") as kept:
        for member in given:
            if member.isdir() or not _LEAVINGS.fullmatch(member.name):
                kept.addfile(member, given.extractfile(member) if member.isreg() else None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the base; 0, or 1 with one line that says why not."""
    parser = argparse.ArgumentParser(prog="python -m deploy.container.base", description="Make an image's base.")
    parser.add_argument("--out", type=Path, required=True, help="archive to write: podman import FILE NAME")
    parser.add_argument("--release", default="debian-12", help="which one (deploy/kit/releases.toml)")
    options = parser.parse_args(arguments)
    try:
        make(release.read(options.release, "cpu"), options.out)
    except KitFailed as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
