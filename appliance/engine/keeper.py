"""The keeper: a small process between supervisor and vLLM that leaves no orphan behind.

    supervisor ── lifeline (pipe) ──▶ keeper ──▶ vLLM's API server ──▶ EngineCore ──▶ Worker

vLLM is three processes; a SIGKILL of the first leaves the others running, with
the GPU's memory in their hands. Every way to end is covered:

* vLLM's first process ends: the keeper kills what is left and exits with its status.
* The supervisor ends, even by SIGKILL: the kernel closes the lifeline, the keeper
  kills everything below it.
* The keeper is killed: the kernel kills vLLM's first process (parent-death signal),
  the rest falls to the supervisor, the next subreaper, which kills it.

It runs as ``python -m appliance.engine.keeper LIFELINE_FD COMMAND…`` with the
standard library only, in one thread, in a session of its own so that a
terminal's Ctrl-C reaches the supervisor alone, which decides.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from types import FrameType

from appliance.engine import processes

#: Passed on to vLLM, which then shuts down in order.
FORWARDED = (signal.SIGTERM, signal.SIGINT)
#: Longest fight with processes that do not die; the supervisor then reports them.
END_SECONDS = 20.0


def main(argv: list[str] | None = None) -> int:
    """Keep one vLLM.

    Args:
        argv: the lifeline's file descriptor, then the command; by default this process's arguments.

    Returns:
        vLLM's exit status, 128 + n if signal n ended it, 137 if the lifeline did.
    """
    arguments = sys.argv[1:] if argv is None else argv
    lifeline, command = int(arguments[0]), arguments[1:]
    processes.become_subreaper()
    wake = _wake_on_signals()
    own_pid = os.getpid()
    child = subprocess.Popen(
        command,
        # This process has one thread, so running Python between fork and exec is safe.
        preexec_fn=lambda: processes.die_with_parent(own_pid),  # noqa: PLW1509
    )
    status = _watch(child, lifeline, wake)
    processes.end_descendants(END_SECONDS)
    return status


def _wake_on_signals() -> int:
    """Turn signals into bytes on a pipe, so that one ``select`` waits for everything; its read end."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (*FORWARDED, signal.SIGCHLD):
        signal.signal(number, _noted)
    return read_end


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The byte on the wake-up pipe says it all."""


def _watch(child: subprocess.Popen[bytes], lifeline: int, wake: int) -> int:
    """Wait for the end of vLLM's first process or of the supervisor; the exit status to give."""
    with selectors.DefaultSelector() as selector:
        selector.register(lifeline, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            # The time-out is a second net below SIGCHLD, not a poll that anything relies on.
            for key, _events in selector.select(timeout=1.0):
                if key.fd == lifeline and not os.read(lifeline, 1):
                    return 128 + signal.SIGKILL
                if key.fd == wake:
                    _forward(child, os.read(wake, 64))
            if child.poll() is not None:
                return child.returncode if child.returncode >= 0 else 128 - child.returncode
            _reap_adopted(child.pid)


def _forward(child: subprocess.Popen[bytes], numbers: bytes) -> None:
    for number in numbers:
        if number in FORWARDED:
            child.send_signal(number)


def _reap_adopted(main_pid: int) -> None:
    """Collect adopted orphans that ended, but leave the main child's status to its Popen."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid == main_pid:
            return
        os.waitpid(ended.si_pid, 0)


if __name__ == "__main__":
    sys.exit(main())
