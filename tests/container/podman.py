"""Builds and runs containers with buildah and podman, in a storage of this checkout's own below ``.cache/container``."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "container"
BASE = "localhost/appliance-base:bookworm"
#: Of every file in the image and of the image itself: builds of one commit are the same to the byte.
EPOCH = 315532800
BUILD_SECONDS = 3600
#: Of a user, where podman's default of millions cannot be had: as many as the engine may have by its own limit.
PROCESSES = 4096
NEEDED = {
    "podman": "podman",
    "buildah": "buildah",
    "runc": "runc",
    "mmdebstrap": "mmdebstrap",
    "catatonit": "catatonit",
    "netavark": "netavark",
    "aardvark-dns": "aardvark-dns",
    "iptables": "iptables",
}
_PLACES = os.pathsep.join([os.defpath, "/usr/sbin", "/usr/lib/podman", "/usr/libexec/podman"])
_STORAGE = ("--root", f"{CACHE}/storage", "--runroot", "/run/appliance-container", "--storage-driver", "overlay")
#: The right to raise one's own limits (capabilities(7)).
_CAP_SYS_RESOURCE = 1 << 24
#: Debian's crun refuses machines with both kinds of cgroups.
_PODMAN = (*_STORAGE, "--runtime", "runc", "--cgroup-manager", "cgroupfs", "--network-config-dir", f"{CACHE}/networks")


def missing() -> str:
    """Why no container can be built and run here, as a sentence; empty if one can."""
    if os.geteuid() != 0:
        return "building and running containers needs root"
    absent = [package for name, package in NEEDED.items() if shutil.which(name, path=_PLACES) is None]
    if absent:
        return f"apt-get install --no-install-recommends {' '.join(absent)}"
    return ""


def podman(*words: str, timeout: float = 300) -> str:
    """Run podman; what it printed on standard output.

    Raises:
        AssertionError: it failed, with what it said.
    """
    done = tried(*words, timeout=timeout)
    assert done.returncode == 0, f"podman {' '.join(words)[:300]}: {done.stdout[-1000:]}{done.stderr[-3000:]}"
    return done.stdout


def tried(*words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run podman, whatever comes of it."""
    return _run(["podman", *_PODMAN, *words], timeout)


def build(tag: str, *options: str, context: Path = ROOT, cached: bool = True) -> float:
    """Build the image from the Dockerfile; how many seconds it took.

    Args:
        tag: of the image.
        options: more of them.
        context: what is sent to the build.
        cached: whether layers of earlier builds may be used.
    """
    started = time.monotonic()
    command = [
        *("buildah", *_STORAGE, "bud", "--layers", "--format", "docker", "--isolation", "chroot", "--network", "host"),
        *("--timestamp", str(EPOCH), "--build-arg", f"BASE={BASE}", *([] if cached else ["--no-cache"])),
        *("--force-rm", "--tag", tag, *options, str(context)),
    ]
    done = _run(command, BUILD_SECONDS)
    assert done.returncode == 0, f"buildah: {(done.stdout + done.stderr)[-4000:]}"
    return time.monotonic() - started


def base() -> None:
    """See to it that the image's base is there: made once from Debian's packages."""
    if tried("image", "exists", BASE).returncode == 0:
        return
    archive = CACHE / "base.tar"
    if not archive.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        done = _run([sys.executable, "-m", "deploy.container.base", "--out", str(archive)], BUILD_SECONDS)
        assert done.returncode == 0, done.stderr
    podman("import", "--quiet", str(archive), BASE)


def wheelhouse(locks: Iterable[str], folder: Path) -> Path:
    """A directory with every wheel of these locks, from the index that this machine's pip is set to."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [ROOT / "deploy" / "locks" / f"{lock}.txt" for lock in locks]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    whole = CACHE / f"wheels-{digest[:16]}"
    if whole.is_file():  # asking the index for each takes minutes
        return folder
    for file in files:
        done = _run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
                *("--no-deps", "--require-hashes", "--only-binary=:all:", f"--find-links={folder}", f"--dest={folder}"),
                f"--requirement={file}",
            ],
            BUILD_SECONDS,
        )
        assert done.returncode == 0, f"the wheels of {file.name} cannot be had: {done.stderr[-1000:]}"
    whole.touch()
    return folder


@dataclass(frozen=True)
class Container:
    """One that was started."""

    name: str

    def run(self, *words: str, timeout: float = 120) -> str:
        """Run a program inside that must succeed; what it printed."""
        return podman("exec", self.name, *words, timeout=timeout)

    def inspect(self) -> dict[str, Any]:
        """What podman knows of it."""
        found: list[dict[str, Any]] = json.loads(podman("inspect", self.name))
        return found[0]

    @property
    def logs(self) -> str:
        """All it wrote."""
        done = tried("logs", self.name)
        return done.stdout + done.stderr

    def events(self, phrase: str) -> list[dict[str, Any]]:
        """The log's entries of one event."""
        lines = [line for line in self.logs.splitlines() if line.startswith("{")]
        return [entry for entry in map(json.loads, lines) if entry.get("event") == phrase]

    def processes(self) -> dict[int, str]:
        """Its processes as this machine numbers them, with their command lines."""
        leader = int(self.inspect()["State"]["Pid"])
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                same = (folder / "ns/pid").readlink() == Path(f"/proc/{leader}/ns/pid").readlink()
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if same and leader:
                found[int(folder.name)] = line
        return found

    def healthy(self) -> bool:
        """What its health check says now."""
        return tried("healthcheck", "run", self.name, timeout=60).returncode == 0


def lowered(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Arguments that this machine can fulfil, and what was changed for that, in words.

    Podman times health checks by systemd. Without the right to raise limits (a container, a sandbox) no process gets
    more open files than this one may have, or a better place than this one when memory runs out; podman's own
    defaults ask for more, too.
    """
    arguments, changes = list(arguments), []
    if not Path("/run/systemd/system").is_dir():
        # Podman has no timers of its own. The check is there, and the tests run it.
        changes.append("no timer for the health check: no systemd")
        arguments = [word for word in arguments if not word.startswith("--health-interval")]
        arguments.append("--health-interval=disable")
    if _may_raise_limits():
        return arguments, changes
    kept = []
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for argument in arguments:
        if (match := re.match(r"--ulimit=nofile=(\d+):(\d+)$", argument)) and int(match[2]) > files:
            changes.append(f"{match[2]} open files to {files}")
            kept.append(f"--ulimit=nofile={files}:{files}")
        elif argument.startswith("--oom-score-adj=-"):
            changes.append(f"{argument[2:]} to none")
        else:
            kept.append(argument)
    if not any("nofile" in argument for argument in kept):
        kept.append(f"--ulimit=nofile={files}:{files}")
    return [*kept, f"--ulimit=nproc={PROCESSES}:{PROCESSES}"], changes


def until(condition: Callable[[], bool], seconds: float, explain: Callable[[], str]) -> None:
    """Wait for a condition; raises AssertionError with an explanation when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.2)


def _may_raise_limits() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return bool(int(status.split("CapEff:")[1].split()[0], 16) & _CAP_SYS_RESOURCE)


def _run(command: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, cwd=ROOT)
