"""Set this checkout up in ``.venv``: the engine for CPUs, the gateway and the tools that test them.

With ``--build`` it is ``.venv-build`` instead: what bundles are built with,
whose pins clash with vLLM's. Run by ``make`` as ``python3.11
deploy/bootstrap.py``; needs the standard library alone. Does nothing when the locks and ``pyproject.toml`` are the ones
it last worked from, goes on where an interrupted run stopped, and lets one run
work at a time. Everything pip says goes to ``bootstrap.log`` in it.

What is installed is what ``deploy/locks/*.txt`` name, with ``--no-deps`` and
``--require-hashes``: no resolver runs here. torch is the one choice left to the
machine: its small CPU build where the package index offers it, else PyPI's
build for CUDA, which runs on the CPU too (docs/decisions.md).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
GIBIBYTE = 1024**3
# Measured: 3.5 GiB installed with the small torch, 1.2 GiB of wheels on their way; the CUDA build adds 4.5 GiB.
NEEDED_BYTES = 6 * GIBIBYTE
NEEDED_BYTES_CUDA = 12 * GIBIBYTE
PACKAGE_LOCKS = ("engine-cpu.txt", "dev.txt")
BUILD_LOCKS = ("build.txt",)
VENV, BUILD_VENV = ".venv", ".venv-build"
TORCH_SMALL, TORCH_PLAIN = "torch-cpu.txt", "torch-cuda.txt"
# PyPI's builds of these do not fit torch's CPU build and break `import transformers`.
FORBIDDEN = frozenset({"torchaudio", "torchcodec", "torchvision"})
# Variables with which pip would install somewhere else, or Python import something else.
MISLEADING = ("PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PIP_ROOT", "PIP_TARGET", "PIP_USER", "PYTHONHOME", "PYTHONPATH")
PIP_QUIET = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--no-warn-script-location")
NOT_OFFERED = ("No matching distribution found", "DO NOT MATCH THE HASHES")
OFFLINE = ("Retrying (Retry(", "Could not fetch URL")
DISK_FULL = "No space left on device"
PIP_TAKEN = ("Collecting ", "Processing ", "Requirement already satisfied")
PIP_DOWNLOAD = re.compile(r"\s*Downloading (?:.*/)?(?P<name>[^/\s-]+)-\S+ \((?P<size>[^)]+)\)")
REDRAW_SECONDS = 1.0
PLAIN_LINE_SECONDS = 20.0


class Stop(Exception):
    """What ends the setup: one sentence of what happened, one of what to do."""


@dataclass
class Stamp:
    """What ``.venv`` holds: written empty before a change, in full after it.

    ``packages`` and ``project`` are the digests of what was installed, empty
    while a change is under way. ``names`` are the distributions that the locks
    put there, so that a later lock without them takes them away again.
    """

    root: str = ""
    python: str = ""
    packages: str = ""
    project: str = ""
    torch: str = ""
    names: list[str] = field(default_factory=list)


class Progress:
    """One line for a step: redrawn on a terminal, now and then a new one elsewhere."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._started = time.monotonic()
        self._shown = self._started
        self._terminal = sys.stdout.isatty()
        self._count = 0
        self._text = "…"

    def follow(self, line: str, total: int) -> None:
        """Read a line of pip's output, empty for none, and show how far pip is among ``total`` packages."""
        if line.startswith(PIP_TAKEN):
            self._count += 1
        if found := PIP_DOWNLOAD.match(line):
            self._text = f"downloading {found['name']} ({found['size']})"
        elif line.startswith("Installing collected packages"):
            self._text = "unpacking"
        of = f"{min(self._count, total)} of {total}, " if total > 1 else ""
        self.note(of + self._text)

    def note(self, text: str) -> None:
        """Show how far the step is."""
        now = time.monotonic()
        elapsed = now - self._started
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(clear_line() + f"  {self.title}: {text} ({elapsed:.0f} s)"[:width], end="", flush=True)
        elif now - self._shown >= PLAIN_LINE_SECONDS:
            self._shown = now
            print(f"  {self.title}: {text} ({elapsed:.0f} s)", flush=True)

    def done(self, text: str) -> None:
        """Close the step with what came of it and how long it took."""
        print(f"{clear_line()}  {self.title}: {text} ({time.monotonic() - self._started:.1f} s)", flush=True)


class Setup:
    """The steps, in the order in which :meth:`run` calls them."""

    def __init__(self, root: Path, lock: int, *, building: bool = False) -> None:
        self.root = root
        self.venv = root / (BUILD_VENV if building else VENV)
        self.locks = BUILD_LOCKS if building else PACKAGE_LOCKS
        self.python = self.venv / "bin" / "python"
        self.log = self.venv / "bootstrap.log"
        self._lock = lock

    def run(self) -> None:
        """Bring the environment to what the locks say.

        Raises:
            Stop: with what the reader can do.
        """
        wanted = wanted_stamp(self.root, self.locks)
        stamp = read_stamp(self.venv)
        if is_current(self.venv, stamp, wanted):
            return
        started = time.monotonic()
        require_python()
        if stamp.packages != wanted.packages:
            print(f"Setting up {self.venv.name} (some minutes the first time; later runs skip this).", flush=True)
            require_disk(self.root, self.venv, NEEDED_BYTES)
            require_debian_parts()
            self._make_venv(stamp, wanted)
            pending = Stamp(wanted.root, wanted.python, names=sorted({*stamp.names, *wanted.names}))
            write_stamp(self.venv, pending)
            forget_half_installed(self.venv)
            wanted.torch = self._install_packages(wanted.names)
            self._remove(sorted((set(stamp.names) - set(wanted.names)) | FORBIDDEN))
        else:
            wanted.torch = stamp.torch
        self._install_project()
        write_stamp(self.venv, wanted)
        print(f"Set up in {time.monotonic() - started:.0f} s.", flush=True)

    def _make_venv(self, stamp: Stamp, wanted: Stamp) -> None:
        progress = Progress("environment")
        another = stamp.root != "" and (stamp.root, stamp.python) != (wanted.root, wanted.python)
        if self.venv.exists() and not another and self.python.exists():
            what = "the one of an interrupted setup, going on" if not stamp.packages else "kept, packages have changed"
        else:
            what = "made"
        command = [sys.executable, "-m", "venv", *(["--clear"] if another else []), str(self.venv)]
        self.venv.mkdir(exist_ok=True)
        if self._spawn(command, progress, 0) != 0:
            raise Stop(f"The environment {self.venv.name} could not be made; {self.log} has the reason.")
        progress.done(what)

    def _install_packages(self, names: list[str]) -> str:
        """Everything that is pinned; returns the lock that torch came from."""
        self._pip("pip", ["pip.txt"])
        torch = TORCH_SMALL
        progress = Progress("torch")
        if self._try_pip([TORCH_SMALL], progress, attempts=2):
            progress.done("the small build for CPUs")
        else:
            require_disk(self.root, self.venv, NEEDED_BYTES_CUDA)
            print("  torch: the package index has no small CPU build; taking the plain one (CUDA, some 2.5 GB more).")
            print("         PIP_EXTRA_INDEX_URL can name an index that has it (docs/decisions.md).", flush=True)
            torch = TORCH_PLAIN
        if torch == TORCH_PLAIN:
            self._pip("torch", [TORCH_PLAIN], done="the plain build (CUDA; it runs on the CPU)")
        # After torch: where a version is in both locks it is the same one.
        self._pip("packages", list(self.locks), done=f"{len(names)} pinned")
        return torch

    def _install_project(self) -> None:
        progress = Progress("appliance")
        arguments = ["--no-deps", "--no-build-isolation", "--editable", str(self.root)]
        if self._spawn([str(self.python), "-m", "pip", "install", *PIP_QUIET, *arguments], progress, 0) != 0:
            raise Stop(f"The project itself could not be installed; {self.log} has the reason.")
        progress.done("installed from this checkout")

    def _remove(self, names: list[str]) -> None:
        progress = Progress("clean-up")
        if self._spawn([str(self.python), "-m", "pip", "uninstall", "--yes", *names], progress, 0) != 0:
            raise Stop(f"Packages that are no longer pinned could not be removed; {self.log} has the reason.")

    def _pip(self, title: str, locks: list[str], done: str = "installed") -> None:
        progress = Progress(title)
        if not self._try_pip(locks, progress, attempts=2):
            raise Stop(
                f"{' and '.join(locks)} cannot be installed: a pinned file is not on the package index "
                f"that pip is set to use, or is not the pinned one; {self.log} says which."
            )
        progress.done(done)

    def _try_pip(self, locks: list[str], progress: Progress, attempts: int) -> bool:
        """Install locks. False if the index lacks a pinned file.

        Raises:
            Stop: the disk is full, or the download failed in every attempt.
        """
        folder = self.root / "deploy" / "locks"
        total = len(locked_names(folder, locks))
        files = [argument for lock in locks for argument in ("--requirement", str(folder / lock))]
        command = [str(self.python), "-m", "pip", "install", "--no-deps", "--require-hashes", *PIP_QUIET, *files]
        for attempt in range(1, attempts + 1):
            before = self.log.stat().st_size if self.log.exists() else 0
            if self._spawn(command, progress, total) == 0:
                return True
            with self.log.open(encoding="utf-8", errors="replace") as log:
                log.seek(before)
                said = log.read()
            if DISK_FULL in said:
                raise Stop("The disk is full. Free some space and run the same command again; it goes on from here.")
            if any(phrase in said for phrase in NOT_OFFERED) and not any(phrase in said for phrase in OFFLINE):
                return False
            if attempt < attempts:
                progress.note("the download failed, trying once more")
        raise Stop(
            "The packages could not be downloaded. Check the connection to the package index and run the same "
            f"command again; it goes on from here. {self.log} has pip's words."
        )

    def _spawn(self, command: list[str], progress: Progress, total: int) -> int:
        """Run a command with its output in the log, and say how far it is. Returns its exit status."""
        environment = {name: value for name, value in os.environ.items() if name not in MISLEADING}
        with (
            self.log.open("ab", buffering=0) as log,
            # The child holds the lock too: no second run starts beside a pip that outlived its parent.
            subprocess.Popen(
                command,
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(self._lock,),
            ) as child,
        ):
            try:
                for line in lines_or_ticks(child):
                    log.write(line)
                    progress.follow(line.decode(errors="replace"), total)
            except BaseException:
                child.terminate()
                raise
        return child.returncode


def main() -> int:
    """Set up; returns the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with alone() as lock:
            Setup(ROOT, lock, building="--build" in sys.argv[1:]).run()
    except Stop as stop:
        print(f"{clear_line()}error: {stop}", file=sys.stderr)
        return 1
    except OSError as err:
        print(f"{clear_line()}error: The setup stopped: {err.strerror}: {err.filename}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{clear_line()}Stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    return 0


def clear_line() -> str:
    """What wipes a half-drawn line of progress on a terminal."""
    return "\r\033[K" if sys.stdout.isatty() else ""


@contextlib.contextmanager
def alone() -> Iterator[int]:
    """Hold this file's lock: one setup of a checkout at a time. Yields the descriptor that holds it."""
    with Path(__file__).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another setup of this checkout is at work; waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def lines_or_ticks(child: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """The child's output line by line, and ``b""`` after each second without any."""
    pipe = child.stdout
    if pipe is None:
        return
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(REDRAW_SECONDS):
                yield b""
                continue
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                break
            *lines, rest = (rest + chunk).splitlines(keepends=True)
            if rest.endswith(b"\n"):
                lines, rest = [*lines, rest], b""
            yield from lines
    if rest:
        yield rest


def locked_names(folder: Path, locks: list[str]) -> list[str]:
    """Distributions that these locks pin, normalised, each once."""
    found: set[str] = set()
    for lock in locks:
        for line in (folder / lock).read_text(encoding="utf-8").splitlines():
            if match := re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)==", line):
                found.add(re.sub(r"[-_.]+", "-", match[1]).lower())
    return sorted(found)


def wanted_stamp(root: Path, locks: tuple[str, ...] = PACKAGE_LOCKS) -> Stamp:
    """What this checkout asks for."""
    folder = root / "deploy" / "locks"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(version.encode())
    for lock in ("pip.txt", TORCH_SMALL, TORCH_PLAIN, *locks):
        try:
            digest.update((folder / lock).read_bytes())
        except FileNotFoundError:
            raise Stop(f"deploy/locks/{lock} is missing. Get it back with git, or make it with `make lock`.") from None
    project = hashlib.sha256((root / "pyproject.toml").read_bytes()).hexdigest()
    names = locked_names(folder, list(locks))
    return Stamp(str(root), version, digest.hexdigest(), project, names=names)


def stamp_path(venv: Path) -> Path:
    """Where the stamp lies."""
    return venv / "appliance-setup.json"


def read_stamp(venv: Path) -> Stamp:
    """The stamp of an environment; an empty one where there is none or it is broken."""
    try:
        return Stamp(**json.loads(stamp_path(venv).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Stamp()


def write_stamp(venv: Path, stamp: Stamp) -> None:
    """Replace the stamp in one step."""
    partial = stamp_path(venv).with_suffix(".new")
    partial.write_text(json.dumps(vars(stamp), indent=1), encoding="utf-8")
    partial.replace(stamp_path(venv))


def is_current(venv: Path, stamp: Stamp, wanted: Stamp) -> bool:
    """Whether there is nothing to do."""
    same = (stamp.root, stamp.packages, stamp.project) == (wanted.root, wanted.packages, wanted.project)
    return same and (venv / "bin" / "python").exists()


def forget_half_installed(venv: Path) -> list[str]:
    """Drop the metadata of distributions that an interrupted pip left unfinished, so that pip takes them again.

    pip writes ``INSTALLER`` after all files of a distribution.
    """
    dropped = []
    for metadata in sorted(venv.glob("lib/python*/site-packages/*.dist-info")):
        if not (metadata / "INSTALLER").exists():
            shutil.rmtree(metadata)
            dropped.append(metadata.name)
    return dropped


def require_python() -> None:
    """Refuse a Python that is too old.

    Raises:
        Stop: with the remedy.
    """
    if sys.version_info < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise Stop(f"Python {oldest} or newer is needed. Name one: make PYTHON=/path/to/python{oldest}")


def require_disk(root: Path, venv: Path, needed: int) -> None:
    """Refuse a disk that will be full before the end.

    Raises:
        Stop: with what is missing.
    """
    free = shutil.disk_usage(root).free
    if free >= needed:
        return
    held = sum(path.lstat().st_size for path in venv.rglob("*")) if venv.exists() else 0
    if free + held < needed:
        raise Stop(
            f"The disk of {root} has {free / GIBIBYTE:.1f} GiB free, the setup needs {needed / GIBIBYTE:.0f} GiB. "
            "Free some space, or put the checkout on another disk."
        )


def require_debian_parts() -> None:
    """See to what pip cannot bring: Python's ``ensurepip``, which Debian packs apart, and libnuma for vLLM.

    Raises:
        Stop: with the command to run, where this user may not.
    """
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        install_debian(f"python{version}-venv", "this Python has no venv module")
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError:
        install_debian("libnuma1", "vLLM on the CPU needs the library libnuma")


def install_debian(package: str, reason: str) -> None:
    """Install one Debian package, as root or with a sudo that asks nothing.

    Raises:
        Stop: with the command to run.
    """
    remedy = Stop(f"Debian's {package} is missing ({reason}). Run: sudo apt-get install -y {package}")
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") is None or (sudo and shutil.which("sudo") is None):
        raise remedy
    print(f"  Debian's {package}: installing it, {reason}.", flush=True)
    install = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", package]
    update = [*sudo, "apt-get", "update", "-q"]
    # A fresh machine has no package lists, one that ran for long has stale ones: fetch them and try again.
    for command in (install, update, install):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if command is install and done.returncode == 0:
            importlib.invalidate_caches()
            return
    raise remedy


if __name__ == "__main__":
    sys.exit(main())
