"""The build environment: whether this process is in it, and its programs, each a process of its own.

torch and what stands on it are in an environment apart (``make build-env``),
since their pins clash with vLLM's and a box has no use for them. Every heavy
stage is a program here, so that its memory is given back when it ends.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import settings
from appliance.bundles.convert import OFFLINE
from appliance.errors import BuildEnvironmentMissing, BuildStageFailed, NotEnoughMemory
from appliance.lifeline import tied_to_this_process
from appliance.settings import Settings

#: What the stages import.
NEEDED = ("torch", "transformers", "peft", "trl", "llmcompressor", "matplotlib")
_INHERITED = (
    "CUDA_VISIBLE_DEVICES",
    "HOME",
    "LANG",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "PATH",
    "TMPDIR",
)
_KILLED = -9
_TICK_SECONDS = 1.0
_TAIL_BYTES = 400

#: ``follow(last line of the program)``, about once a second.
Follow = Callable[[str], None]


def require() -> None:
    """Refuse to build where the build environment is not.

    Raises:
        BuildEnvironmentMissing: with the command that makes it.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise BuildEnvironmentMissing(f"This Python has no {', '.join(missing)}: it is not the build environment.")


@dataclass(frozen=True)
class Workshop:
    """Where a build runs.

    Args:
        out: directory of everything it makes.
        tree: the settings; says where the cache is.
        follow: told the last line of the program at work.
    """

    out: Path
    tree: Settings
    follow: Follow = lambda _line: None

    def program(self, module: str, job: Mapping[str, Any], name: str) -> None:
        """Run a program of this package; its log is named after the stage. Raises as :func:`run`."""
        run(f"appliance.bundles.{module}", job, self.out / "log" / f"{name}.log", self.tree, self.follow)


def run(module: str, job: Mapping[str, Any], log: Path, tree: Settings, follow: Follow = lambda _line: None) -> None:
    """Run one program of this package on a job, wait for it, and end it if this is interrupted.

    Args:
        module: such as ``appliance.bundles.merge``; it is given the job as a JSON file.
        job: what to do.
        log: file for what it says.
        tree: says which state directory it may see.
        follow: told the last line it said.

    Raises:
        NotEnoughMemory: the system killed it.
        BuildStageFailed: it failed; the log has the reason.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    stated = log.with_suffix(".json")
    stated.write_text(json.dumps(job, ensure_ascii=False, indent=1), encoding="utf-8")
    environment = {**settings.child_environment(tree, _INHERITED), **OFFLINE, "OMP_WAIT_POLICY": "passive"}
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(stated)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environment,
            start_new_session=True,
            preexec_fn=tied_to_this_process(),  # noqa: PLW1509 - the child makes two system calls, no lock is taken
        )
        try:
            while process.poll() is None:
                follow(_last_line(log))
                try:
                    process.wait(_TICK_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode == _KILLED:
        raise NotEnoughMemory(f"{module} was killed, most likely for lack of memory.")
    if process.returncode != 0:
        raise BuildStageFailed(
            f"{module} ended with exit status {process.returncode}.", remedy=f"{log} has the reason."
        )


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
