"""The engine's own metrics, fetched from its socket when somebody asks for them.

Only vLLM's own families (``vllm:*``) pass: what its HTTP server and its Python
process count is not about the model, and the former has paths for labels. The
engine is not trusted with more than a few megabytes and a few seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from appliance.errors import ApplianceError, EngineUnavailable
from appliance.gateway.engine_client import EngineClient

DEADLINE_SECONDS = 3.0
MAX_BYTES = 8_388_608
FRESH_SECONDS = 1.0
_PREFIX = b"vllm:"
#: When a series began: half as many families again, of which Prometheus makes nothing.
_STARTED = b"_created"


class EngineMetrics:
    """What the engine says of itself.

    Args:
        socket_path: the engine's socket.
        deadline_seconds: longest wait for the whole answer.
        fresh_seconds: how long an answer is given again before the engine is asked anew.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        socket_path: Path,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        fresh_seconds: float = FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # A client of its own: a scrape must not wait as long as an app's answer may take.
        self._engine = EngineClient(
            socket_path,
            connect_timeout_seconds=deadline_seconds,
            first_byte_timeout_seconds=deadline_seconds,
            idle_timeout_seconds=deadline_seconds,
        )
        self._deadline = deadline_seconds
        self._fresh = fresh_seconds
        self._clock = clock
        self._asked_at = float("-inf")
        self._text: bytes | None = None
        self._one_at_a_time = asyncio.Lock()

    async def text(self) -> bytes:
        """The ``vllm:*`` lines as the engine wrote them, without the time of each one's start.

        Raises:
            EngineUnavailable: the engine is away, silent, or has no metrics.
        """
        async with self._one_at_a_time:
            if self._clock() - self._asked_at >= self._fresh:
                self._text = await self._ask()
                self._asked_at = self._clock()
            if self._text is None:
                raise EngineUnavailable("The engine gives no metrics.", remedy="GET /health/ready says how it is.")
            return self._text

    async def _ask(self) -> bytes | None:
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._engine.request("GET", "/metrics")
                try:
                    body = await _bounded(response.pieces) if response.status == 200 else None
                finally:
                    response.close()
        except (ApplianceError, TimeoutError):
            return None
        finally:
            self._engine.close()  # the engine would close an idle connection before the next scrape anyway
        return None if body is None else _own(body)


async def _bounded(pieces: Callable[[], Awaitable[bytes]]) -> bytes | None:
    """A whole body; None if it is larger than :data:`MAX_BYTES`."""
    parts = []
    size = 0
    while piece := await pieces():
        parts.append(piece)
        size += len(piece)
        if size > MAX_BYTES:
            return None
    return b"".join(parts)


def _own(body: bytes) -> bytes:
    return b"".join(line + b"\n" for line in body.splitlines() if _is_own(line))


def _is_own(line: bytes) -> bool:
    name = line.removeprefix(b"# HELP ").removeprefix(b"# TYPE ").partition(b"{")[0].partition(b" ")[0]
    return name.startswith(_PREFIX) and not name.endswith(_STARTED)
