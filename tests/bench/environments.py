"""The contenders that pip installs: each in an environment of its own below ``.cache/bench``, pinned by hash."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench.processes import CACHE, ROOT

LOCKS = Path(__file__).parent
_PIP = ["-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
_LOCKED = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]


def prepare(name: str) -> Path | None:
    """The environment's ``bin`` with what ``NAME.txt`` locks; None if that cannot be installed here."""
    lock = LOCKS / f"{name}.txt"
    directory, log = CACHE / name, CACHE / f"{name}.log"
    stamp, wanted = directory / "installed", hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return directory / "bin"
    print(f"installing {name} {version(name)} into {directory.relative_to(ROOT)} …", flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    python = str(directory / "bin" / "python")
    with log.open("wb") as output:
        for command in (
            [sys.executable, "-m", "venv", str(directory)],
            [python, *_PIP, *_LOCKED, "--requirement", str(lock)],
        ):
            if subprocess.run(command, stdout=output, stderr=output, check=False).returncode:
                print(f"  {name} cannot be installed here (see {log.relative_to(ROOT)}): left out", flush=True)
                return None
    stamp.write_text(wanted)
    return directory / "bin"


def version(name: str) -> str:
    """The locked version of a contender."""
    for line in (LOCKS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}=="):
            return line.removeprefix(f"{name}==").split()[0]
    raise LookupError(name)
