"""Debian packages for a host that has none: what the playbook installs and all it depends on, as an apt repository.

apt resolves against an empty list of installed packages, so the whole closure
comes along, down to libc: the host may be older than the mirror was. Nothing of
this machine's own apt is read or changed.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from deploy.kit.release import ARCHITECTURE, KitFailed, Release

#: Ends of the names of role variables that list packages.
VARIABLE_SUFFIX = "_packages"
#: What every host has; along so that nothing on it is too old for the rest.
BASE = ("?essential", "?priority(required)", "apt", "ca-certificates", "python3", "python3-apt", "python3-venv")
_DIRECTORIES = (
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "etc/apt/sources.list.d",
    "var/lib/apt/lists/partial",
    "var/cache/apt/archives/partial",
    "none/partial",
    "var/lib/dpkg",
)


def wanted(roles: Path) -> list[str]:
    """The packages that the roles name, sorted: every list in their defaults whose name ends in ``_packages``."""
    found: set[str] = set()
    for role in sorted(path.name for path in roles.iterdir()):
        for name, packages in _defaults(roles, role).items():
            if name.endswith(VARIABLE_SUFFIX):
                found.update(packages)
    return sorted(found)


def driver(roles: Path, release: Release) -> list[str]:
    """The packages of NVIDIA's driver and of what builds its kernel module, as the role ``nvidia`` has them."""
    stated = _defaults(roles, "nvidia")
    distribution = release.name.partition("-")[0].capitalize()
    return [*stated["nvidia_build_tools"][distribution], *stated["nvidia_driver"][distribution]]


def compiler(roles: Path) -> list[str]:
    """The packages by which the engine compiles what it loads onto a GPU, as the role ``nvidia`` has them."""
    return [*_defaults(roles, "nvidia")["nvidia_compiler"]]


def collect(release: Release, packages: Iterable[str], target: Path, cache: Path, beside: Iterable[Path] = ()) -> int:
    """Fill ``target`` with the packages and all they depend on, and apt's index of them; how many there are.

    Args:
        release: of the host.
        packages: names.
        target: an empty directory.
        cache: kept between runs: package lists and what was downloaded.
        beside: directories made by :func:`add`: what their packages depend on comes along, they themselves do not.

    Raises:
        KitFailed: apt cannot reach its mirror, or knows a package not.
    """
    if not release.keyring.is_file():
        raise KitFailed(f"{release.keyring} is missing: install the keyring package of {release.name}.")
    apt, archives = _apt(release, cache, beside), cache / "var/cache/apt/archives"
    _run([*apt, "update"])
    install = [*apt, "install", "--yes", *BASE, *packages]
    # Told of a place for downloads that is empty, apt lists all it would fetch, also what an earlier run left.
    chosen = _run([*install, "--option=Dir::Cache::Archives=none/", "--print-uris"])
    _run([*install, "--download-only"])
    for name in (line.split()[1] for line in chosen.splitlines() if line.startswith("'http")):
        shutil.copyfile(archives / name, target / _plain(name))
    return index(target)


def add(source: Path, target: Path) -> int:
    """A directory of packages that no mirror has (NVIDIA's driver, Grafana) as a repository of its own; how many."""
    target.mkdir(parents=True, exist_ok=True)
    for deb in sorted(source.rglob("*.deb")):
        shutil.copyfile(deb, target / _plain(deb.name))
    return index(target)


def index(directory: Path) -> int:
    """Write apt's index of the packages in a directory; how many they are.

    Raises:
        KitFailed: there is none, or dpkg-scanpackages is missing.
    """
    count = sum(1 for _ in directory.glob("*.deb"))
    if not count:
        raise KitFailed(f"There are no Debian packages in {directory}.")
    if shutil.which("dpkg-scanpackages") is None:
        raise KitFailed("dpkg-scanpackages is missing. Run: sudo apt-get install -y dpkg-dev")
    text = _run(["dpkg-scanpackages", "--multiversion", "."], directory)
    (directory / "Packages").write_text(text, encoding="utf-8")
    with gzip.GzipFile(directory / "Packages.gz", "wb", mtime=0) as packed:
        packed.write(text.encode())
    return count


def listed(directory: Path) -> Iterator[dict[str, str]]:
    """The fields of each package in a repository: ``Package``, ``Version``, ``SHA256`` and the rest."""
    for paragraph in (directory / "Packages").read_text(encoding="utf-8").split("\n\n"):
        lines = [line.partition(": ") for line in paragraph.splitlines() if not line.startswith(" ")]
        if lines:
            yield {name: value for name, _, value in lines}


def _defaults(roles: Path, role: str) -> dict[str, Any]:
    file = roles / role / "defaults" / "main.yml"
    return (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.is_file() else {}


def _apt(release: Release, cache: Path, beside: Iterable[Path]) -> list[str]:
    for name in _DIRECTORIES:
        (cache / name).mkdir(parents=True, exist_ok=True)
    status = cache / "var/lib/dpkg/status"
    status.write_text("", encoding="utf-8")
    lines = [f"deb [signed-by={release.keyring}] {source}\n" for source in release.sources]
    lines += [f"deb [trusted=yes] file:{directory.absolute()} ./\n" for directory in beside]
    (cache / "etc/apt/sources.list").write_text("".join(lines), encoding="utf-8")
    options = {
        "Dir": str(cache),
        "Dir::State::status": str(status),
        "APT::Architecture": ARCHITECTURE,
        "APT::Architectures": ARCHITECTURE,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
        "Acquire::Languages": "none",
    }
    return ["apt-get", "--quiet", *(f"--option={name}={value}" for name, value in options.items())]


def _run(command: list[str], directory: Path | None = None) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith(("E:", "dpkg-scanpackages: error"))]
        raise KitFailed(f"{command[0]} failed: {(said or done.stderr.splitlines()[-1:] or ['no word'])[0]}")
    return done.stdout


def _plain(name: str) -> str:
    """The file's name without the epoch, as on Debian's mirrors: apt writes it with ``%3a``, which is no part of a path."""
    head, separator, rest = name.partition("_")
    version = rest.rpartition("%3a")[2]
    return f"{head}{separator}{version}"
