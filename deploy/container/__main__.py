"""``python -m deploy.container``: the list of everything in an image's file system, in CycloneDX. The Dockerfile calls it."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from appliance import __version__
from appliance.core import sbom
from appliance.core.sbom import Component
from deploy.container import tree


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the list; 0."""
    options = _options().parse_args(arguments)
    itself = Component("container", f"appliance-{options.variant}", __version__)
    parts = components(options.root, options.wheels, [*options.without, options.out])
    options.out.write_text(sbom.render(itself, parts), encoding="utf-8")
    print(f"{options.out}: {len(parts)} components")
    return 0


def components(root: Path, wheels: Sequence[Path], without: Sequence[Path]) -> list[Component]:
    """Packages of Debian's, distributions of Python's, and every file that is none of theirs, with its digest.

    Args:
        root: of the image's file system.
        wheels: directories of the wheels that were installed, for their digests.
        without: what is not part of the image.
    """
    digests = {_name(wheel.name.split("-")[0]): wheel for folder in wheels for wheel in folder.glob("*.whl")}
    listed = tree.owned(root)
    return [
        *(
            Component(
                "library",
                package.name,
                package.version,
                purl=f"pkg:deb/debian/{package.name}@{package.version}?arch={package.architecture}",
            )
            for package in tree.packages(root)
        ),
        *(
            Component(
                "library",
                one.name,
                one.version,
                one.licence,
                f"pkg:pypi/{_name(one.name)}@{one.version}",
                _sha256(digests[_name(one.name)]),
            )
            for one in tree.distributions(root)
        ),
        *(
            Component("file", f"/{path}", "", sha256="" if path in tree.RUNTIMES else _sha256(root / path))
            for path in (str(file.relative_to(root)) for file in tree.files(root, without))
            if not tree.belongs(path, listed)
        ),
    ]


def _name(text: str) -> str:
    """A distribution's name as package indexes compare it."""
    return text.lower().replace("_", "-").replace(".", "-")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.container", description="List what an image is made of.")
    parser.add_argument("--variant", choices=("cpu", "gpu"), required=True)
    parser.add_argument("--wheels", type=Path, action="append", required=True, help="directory of wheels; repeat")
    parser.add_argument("--root", type=Path, required=True, help="root of the image's file system")
    parser.add_argument("--without", type=Path, action="append", default=[], help="not part of the image; repeat")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())
