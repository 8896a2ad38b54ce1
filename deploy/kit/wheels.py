"""Python's packages for a host: every wheel by the hashes of the locks, and the project's own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.kit.release import KitFailed

#: The locks of each variant. ``gateway`` has no engine: to rehearse an installation.
LOCKS: Mapping[str, tuple[str, ...]] = {
    "cpu": ("gateway", "engine-cpu", "torch-cpu"),
    "gpu": ("gateway", "engine-gpu", "torch-cuda"),
    "gateway": ("gateway",),
}
#: What installs on a bare host: Ansible itself.
ANSIBLE_LOCK = "ansible"
REQUIREMENTS, ANSIBLE_REQUIREMENTS = "requirements.txt", "requirements-ansible.txt"
#: Tags of wheels that run on all the releases: glibc 2.36 is the oldest.
_PLATFORMS = ("manylinux1", "manylinux2010", "manylinux2014", *(f"manylinux_2_{minor}" for minor in range(36, 4, -1)))
_PIP = ("-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check")
#: What vLLM lists and text does not need; in no lock (docs/decisions.md).
_LEFT_OUT = {"torchaudio", "torchcodec", "torchvision"}
#: What a wheel is built from.
_SOURCES = ("appliance", "models", "pyproject.toml", "README.md", "LICENSE")


def collect(variant: str, python: str, root: Path, target: Path, cache: Path) -> None:
    """Fill ``target`` with wheels and write the two lists of what is installed from them beside it.

    Args:
        variant: a name in :data:`LOCKS`.
        python: version of the host's Python, such as ``3.11``.
        root: the checkout.
        target: an empty directory.
        cache: wheels of earlier runs; what is there with the right hash is not fetched again.

    Raises:
        KitFailed: a wheel cannot be had, none fits that Python, or one needs on it what no lock has.
    """
    locks = root / "deploy" / "locks"
    parts = {name: (locks / f"{name}.txt").read_text(encoding="utf-8") for name in (*LOCKS[variant], ANSIBLE_LOCK)}
    cache.mkdir(parents=True, exist_ok=True)
    for name in parts:
        _download(locks / f"{name}.txt", python, target, cache)
    if missing := lacking(target, python):
        raise KitFailed(f"On Python {python} {missing}, and no lock has that. Add it to pyproject.toml; make lock.")
    own = project(root, target)
    name, version = own.name.split("-")[:2]
    line = f"{name}=={version} --hash=sha256:{_sha256(own)}\n"
    content = _merged([parts[lock] for lock in LOCKS[variant]]) + line
    (target.parent / REQUIREMENTS).write_text(content, encoding="utf-8")
    (target.parent / ANSIBLE_REQUIREMENTS).write_text(_merged([parts[ANSIBLE_LOCK]]), encoding="utf-8")


def lacking(directory: Path, python: str) -> str:
    """What a wheel there needs on that Python and the directory has not: ``vllm needs six``; empty if all is there.

    The locks are made on one Python, and what is needed on another alone is not in them by itself.
    """
    machine = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    stated = [described(wheel) for wheel in sorted(directory.glob("*.whl"))]
    there = {canonicalize_name(fields["Name"]) for fields in stated} | _LEFT_OUT
    for fields in stated:
        for need in map(Requirement, fields.get_all("Requires-Dist") or []):
            wanted = need.marker is None or need.marker.evaluate(machine)
            if wanted and canonicalize_name(need.name) not in there:
                return f"{fields['Name']} needs {need.name}"
    return ""


def described(wheel: Path) -> Message:
    """What a wheel states about itself: ``Name``, ``Version``, ``Requires-Dist`` and the rest."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode("utf-8", "replace"))


def project(root: Path, target: Path) -> Path:
    """Build the project's own wheel; the same files give the same bytes."""
    with tempfile.TemporaryDirectory() as made:
        copy = Path(made) / "source"
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in _SOURCES:
            if (root / name).is_dir():
                shutil.copytree(root / name, copy / name, ignore=ignored)
            else:
                copy.mkdir(exist_ok=True)
                shutil.copyfile(root / name, copy / name)
        _run(
            [sys.executable, *_PIP, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={target}", str(copy)],
            "the project's own wheel cannot be built",
            SOURCE_DATE_EPOCH="315532800",  # 1980, the oldest date a zip file can hold
        )
    return next(target.glob("appliance-*.whl"))


def _download(lock: Path, python: str, target: Path, cache: Path) -> None:
    fits: list[str] = []
    if python != f"{sys.version_info.major}.{sys.version_info.minor}":
        compact = python.replace(".", "")
        fits = [f"--python-version={python}", "--implementation=cp", f"--abi=cp{compact}", "--abi=abi3", "--abi=none"]
        fits += [f"--platform={name}_x86_64" for name in _PLATFORMS] + ["--platform=any"]
    _run(
        [
            *(sys.executable, *_PIP, "download", "--no-deps", "--require-hashes", "--only-binary=:all:"),
            *(*fits, f"--find-links={cache}", f"--dest={target}", f"--requirement={lock}"),
        ],
        f"not every wheel of {lock.name} can be had for Python {python}",
    )
    for wheel in target.glob("*.whl"):
        if not (cache / wheel.name).is_file():
            shutil.copyfile(wheel, cache / wheel.name)


def _merged(locks: Sequence[str]) -> str:
    """The requirements of several locks, each once: they agree on every version."""
    seen: dict[str, str] = {}
    for text in locks:
        for line in text.replace("\\\n", " ").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                words = line.split()
                seen.setdefault(words[0].partition("=")[0].lower(), " ".join(words))
    return "".join(f"{line}\n" for _, line in sorted(seen.items()))


def _run(command: list[str], failure: str, **variables: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("ERROR:")]
        raise KitFailed(f"{failure[0].upper()}{failure[1:]}: {(said or ['no word'])[0]}")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
