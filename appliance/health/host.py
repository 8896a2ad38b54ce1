"""What the checks of the controls look at: this machine, and what the other rooms say of themselves.

A check never reaches for the machine itself, so that a test can show it a
host on which one thing is wrong.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from appliance.core.audit_chain import Verdict
from appliance.settings import Settings

DEADLINE_SECONDS = 20.0
#: A timer's or another user's path may lack the last ones.
PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENGINE_MODULE = "vllm.entrypoints.openai.api_server"
_COMMANDS = ("gateway", "engine", "exporter")


@dataclass(frozen=True)
class Answer:
    """What a command said.

    Attributes:
        text: its standard output.
        problem: why there is none; empty if it ended well.
    """

    text: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Line:
    """A launch line of vLLM.

    Attributes:
        argv: its arguments.
        environment: its variables; None where they may not be read.
        running: process id if it is that of the running engine.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] | None
    running: int | None = None


@dataclass(frozen=True)
class Process:
    """A process of the appliance.

    Attributes:
        pid: its id.
        name: ``engine`` for vLLM, else the command.
        folder: its directory in ``/proc``.
    """

    pid: int
    name: str
    folder: Path


@dataclass(frozen=True)
class Host:
    """One box at one moment.

    Attributes:
        settings: the whole tree.
        settings_file: where they were read from, if from a file.
        now: Unix seconds.
        ask: runs a command.
        verify_audit: walks along the audit's chain; may raise ApplianceError.
        signer: owner of the key that signed the model in a directory, unchanged; may raise ApplianceError.
        launch_line: the line that the next start of the engine uses; may raise ApplianceError.
        refusal: for a route and a request's body, the key of the error that the gateway refuses it with; empty if taken.
        answered_id: for a client's request id, the id under which the gateway answers.
        salted: for an account, what the gateway puts before its requests to the engine.
        routes: methods and paths that the gateway has.
        metric_labels: names of the labels of its metrics.
        planned_rules: text of the packet filter that the settings give.
        version_of: version of an installed distribution; None if it is not there.
        site_packages: directories that Python loads packages from.
        up_seconds: how long the machine has been up.
        root: of ``/proc``, ``/run`` and ``/etc``.
    """

    settings: Settings
    settings_file: Path | None
    now: float
    ask: Callable[[Sequence[str]], Answer]
    verify_audit: Callable[[], Verdict]
    signer: Callable[[Path], str]
    launch_line: Callable[[], Line]
    refusal: Callable[[str, dict[str, Any]], str]
    answered_id: Callable[[str], str]
    salted: Callable[[str], bytes]
    routes: frozenset[tuple[str, str]]
    metric_labels: frozenset[str]
    planned_rules: str
    version_of: Callable[[str], str | None]
    site_packages: tuple[Path, ...]
    up_seconds: float
    root: Path = Path("/")

    def processes(self) -> list[Process]:
        """The appliance's own that run on this box, of this state directory's engine."""
        return sorted(self._processes(), key=lambda process: process.pid)

    def engine(self) -> Process | None:
        """The API server of vLLM on this state directory's socket, if it runs."""
        return next((process for process in self.processes() if process.name == "vllm"), None)

    def is_booted_by_systemd(self) -> bool:
        """As sd_booted(3) tells it."""
        return (self.root / "run/systemd/system").is_dir()

    def _processes(self) -> Iterator[Process]:
        for folder in (self.root / "proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):  # ended meanwhile
                    name = self._name(arguments(folder / "cmdline"))
                    if name:
                        yield Process(int(folder.name), name, folder)

    def _name(self, argv: Sequence[str]) -> str:
        if _ENGINE_MODULE in argv:
            return "vllm" if str(self.settings.socket_path) in argv else ""
        for before, after in pairwise(argv[:4]):
            if Path(before).name == "appliance" and after in _COMMANDS:
                return after
        return "exporter" if "appliance.exporter" in argv[:4] else ""


def arguments(file: Path) -> tuple[str, ...]:
    """The words of ``/proc/PID/cmdline`` or ``environ``; raises OSError."""
    return tuple(file.read_text(encoding="utf-8", errors="replace").split("\0")[:-1])


def ask(command: Sequence[str]) -> Answer:
    """Run a command for what it prints."""
    program = shutil.which(command[0], path=PROGRAM_PATH)
    if program is None:
        return Answer(problem=f"{command[0]} is not installed")
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
            env={"PATH": PROGRAM_PATH, "LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Answer(problem=f"{command[0]} did not answer in time")
    except OSError as err:
        return Answer(problem=f"{command[0]} cannot be run: {err.strerror}")
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[0]
        return Answer(problem=f"{command[0]}: {said[:120]}")
    return Answer(done.stdout)
