"""Waits until an engine has finished what it was given."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from appliance.engine import probe
from appliance.engine.probe import ProbeFailed

#: Until every gateway has noticed that new requests are to wait, several times over.
SETTLE_SECONDS = 1.0
POLL_SECONDS = 0.25
_TIMEOUT_SECONDS = 5.0
#: One look can fall between two requests of a client's.
_LOOKS = 2


async def until_idle(socket_path: Path, limit_seconds: float, hurried: Callable[[], bool]) -> bool:
    """Wait until the engine has no request any more; whether it came to that.

    Args:
        socket_path: the engine's Unix socket.
        limit_seconds: longest wait.
        hurried: whether to wait no longer.
    """
    deadline = time.monotonic() + limit_seconds
    await asyncio.sleep(min(SETTLE_SECONDS, limit_seconds))
    idle = 0
    while idle < _LOOKS:
        if hurried() or time.monotonic() >= deadline:
            return False
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                unfinished = await probe.unfinished(socket_path)
        except TimeoutError:
            continue
        except ProbeFailed:
            return False  # it is dead or says nothing of its work
        idle = 0 if unfinished else idle + 1
        await asyncio.sleep(POLL_SECONDS)
    return True
