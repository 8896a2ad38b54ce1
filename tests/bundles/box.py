"""A box's state directory for tests, and the child process that a power cut strikes."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from appliance import settings
from appliance.bundles import install, installed, source
from appliance.bundles.install import Judge, Outcome
from appliance.bundles.trust import Trust
from appliance.core import golden
from appliance.settings import Settings
from tests.bundles.signed import NOW


def tree(state: Path) -> Settings:
    return settings.load(state_dir=state)


def judge(state: Path, **changes) -> Judge:
    return Judge(Trust.read(state / "trust"), NOW, frozenset(golden.CHECKERS), **changes)


def put(state: Path, bundle: Path, **changes) -> Outcome:
    with installed.change(tree(state)):
        return install.run(source.find(bundle), tree(state), judge(state, **changes))


#: Operations on the file system, as Python names them to audit hooks, each before it happens.
_STEPS = frozenset(
    {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.truncate", "os.chmod", "os.scandir"}
)


@dataclass(frozen=True)
class Struck:
    """How a process ended: by which signal (0 for none), and after how many operations on the file system."""

    signal: int
    steps: int


def struck(state: Path, bundle: Path, step: int) -> Struck:
    """Install a bundle and put it in use in a process of its own, killed before that step; 0 for never."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            counted = _kill_at(step)
            outcome = put(state, bundle)
            with installed.change(tree(state)):
                installed.activate(tree(state), outcome.bundle.directory)
            os.write(write_end, str(counted[0]).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as counted_steps:
        steps = counted_steps.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert steps or status < 0, "the child failed"
    return Struck(max(0, -status), int(steps or step))


def _kill_at(step: int) -> list[int]:
    """SIGKILL to this process before its ``step``-th operation; the list counts them."""
    steps = [0]

    def on_event(event: str, _: object) -> None:
        if event in _STEPS:
            steps[0] += 1
            if steps[0] == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(on_event)  # there is no way to take one off: for a process of its own
    return steps
