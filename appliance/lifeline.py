"""Ties the life of a child process to this one, even when this one is killed with SIGKILL.

Linux delivers a signal of the child's choice when the thread that started it
ends (``PR_SET_PDEATHSIG``, prctl(2)). SIGKILL is chosen: nobody is left who
could wait for a grace period. Start children from the main thread, since the
death of any other thread that started one counts as well.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h


def tied_to_this_process() -> Callable[[], None]:
    """A ``preexec_fn`` for :class:`subprocess.Popen`.

    Everything that may allocate or import happens here, before the fork; the
    child makes two system calls. The parent may have died between fork and
    prctl, hence the second look.
    """
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return tie
