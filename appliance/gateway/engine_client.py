"""A small pooled HTTP/1.1 client for the engine's Unix socket.

Only what the gateway needs: requests with a small body, answers read whole or
piece by piece as they arrive, and an answer that is dropped by closing its
connection, which is how vLLM learns that nobody waits any more and stops
generating. A general client does more on every request
than is needed here; parsing is httptools', which is llhttp.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import httptools

from appliance.errors import EngineFailed, EngineTimeout, EngineUnavailable
from appliance.gateway.caller import Caller

#: uvicorn, which serves vLLM, closes an idle connection after 5 s; ours go sooner.
IDLE_SECONDS = 4.0
#: Bytes of an answer held for a slow client before the engine's socket is no longer read.
HIGH_WATER_BYTES = 1_048_576
#: How long an engine that was told that nobody waits may go on before its connection is cut.
LINGER_SECONDS = 0.5
#: Idle connections kept for reuse.
MAX_IDLE = 512


class Abandoned(Exception):
    """Whoever asked has gone; the connection was closed, so the engine stops generating."""


class EngineClient:
    """Requests to the engine behind one Unix socket.

    Args:
        socket_path: the engine's socket.
        connect_timeout_seconds: longest wait for the socket to accept.
        first_byte_timeout_seconds: longest wait for an answer to begin.
        idle_timeout_seconds: longest silence within an answer.
    """

    def __init__(
        self,
        socket_path: Path,
        *,
        connect_timeout_seconds: float,
        first_byte_timeout_seconds: float,
        idle_timeout_seconds: float,
    ) -> None:
        self._path = str(socket_path)
        self._connect_timeout = connect_timeout_seconds
        self._first_byte_timeout = first_byte_timeout_seconds
        self._idle_timeout = idle_timeout_seconds
        self._idle: list[_Connection] = []

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        request_id: str = "",
        caller: Caller | None = None,
    ) -> EngineResponse:
        """Send a request and wait for the head of its answer.

        Args:
            method: HTTP method.
            path: an engine route of ours, never a client's path.
            body: JSON bytes, or none.
            request_id: the gateway's id for it.
            caller: who waits for the answer; gone, it is dropped.

        Raises:
            EngineUnavailable: nobody listens, or the connection broke before an answer began.
            EngineTimeout: no answer began in time.
            Abandoned: the caller left first.
        """
        wire = _render(method, path, body, request_id)
        reused = True
        while True:
            connection = self._take()
            if connection is None:
                reused = False
                connection = await self._connect()
            connection.begin(wire, caller, self._first_byte_timeout, self._idle_timeout)
            try:
                await connection.head()
            except asyncio.CancelledError:
                connection.abort()
                raise
            if connection.has_head:  # also where the engine closed it right after its answer
                return EngineResponse(connection, self._give_back)
            connection.raise_if_ended()
            if not reused or connection.answered:
                raise EngineUnavailable(headers={"retry-after": "2"})
            # The engine closed a kept connection just as it was taken: nothing was processed, so ask again.

    async def fetch(self, method: str, path: str, body: bytes = b"", *, timeout_seconds: float) -> tuple[int, bytes]:
        """Send a request and read its whole answer within a deadline: ``(status, body)``; raises as :meth:`request`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await self.request(method, path, body)
                try:
                    return response.status, await response.read()
                finally:
                    response.close()
        except TimeoutError:
            raise EngineTimeout from None

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().abort()

    def _take(self) -> _Connection | None:
        now = time.monotonic()
        while self._idle:
            connection = self._idle.pop()
            if not connection.broken and now - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.abort()
        return None

    def _give_back(self, connection: _Connection) -> None:
        connection.idle_since = time.monotonic()
        if len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.abort()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_unix_connection(_Connection, self._path)
        except (OSError, TimeoutError):
            raise EngineUnavailable(headers={"retry-after": "2"}) from None
        return connection


class EngineResponse:
    """An answer whose head has arrived.

    Attributes:
        status: HTTP status.
    """

    __slots__ = ("_connection", "_give_back", "status")

    def __init__(self, connection: _Connection, give_back: Callable[[_Connection], None]) -> None:
        self._connection = connection
        self._give_back = give_back
        self.status = connection.status

    async def pieces(self) -> bytes:
        """The bytes that have arrived since the last call, waiting for some; empty at the end.

        Raises:
            EngineFailed: the connection broke within the answer.
            EngineTimeout: the engine fell silent.
            Abandoned: nobody waits for the answer any more.
        """
        connection = self._connection
        while not connection.parts and not connection.complete and not connection.broken:
            await connection.progress()
        data = connection.drain()
        if not data and connection.broken and not connection.complete:
            connection.raise_if_ended()
            raise EngineFailed
        return data

    async def read(self) -> bytes:
        """The whole body; raises as :meth:`pieces`."""
        parts = [await self.pieces()]
        while not self._connection.complete or self._connection.parts:
            parts.append(await self.pieces())
        return b"".join(parts)

    def close(self) -> None:
        """Give the connection back if the answer is complete, else close it: the engine then stops generating."""
        connection = self._connection
        connection.end()
        # What was not read must never meet the next request, which may be another app's.
        if connection.complete and connection.reusable and not connection.broken and not connection.parts:
            self._give_back(connection)
        else:
            connection.abort()


class _Connection(asyncio.Protocol):
    """One connection; one request at a time.

    One timer, which outlives requests: it looks back at the last progress and
    re-arms itself, instead of a timer for every wait. It never sleeps longer
    than the shortest time-out, so that it is there for the next request too.
    """

    __slots__ = (
        "_asked",
        "_caller",
        "_first_byte_timeout",
        "_half_closed",
        "_idle_timeout",
        "_last_progress",
        "_loop",
        "_parser",
        "_paused",
        "_size",
        "_timed_out",
        "_timer",
        "_transport",
        "_waiter",
        "answered",
        "broken",
        "complete",
        "has_head",
        "idle_since",
        "parts",
        "reusable",
        "status",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._caller: Caller | None = None
        self._paused = False
        self._half_closed = False
        self._asked = False
        self.broken = False
        self.idle_since = 0.0
        self.parts: deque[bytes] = deque()

    # --- for the client

    def begin(
        self,
        wire: bytes,
        caller: Caller | None,
        first_byte_timeout_seconds: float,
        idle_timeout_seconds: float,
    ) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.parts.clear()
        self._size = 0
        self._timed_out = False
        self.answered = self.has_head = self.complete = self.reusable = False
        self.status = 0
        self._first_byte_timeout = first_byte_timeout_seconds
        self._idle_timeout = idle_timeout_seconds
        self._last_progress = self._loop.time()
        self._asked = True
        if self._timer is None:
            self._look_back_in(min(first_byte_timeout_seconds, idle_timeout_seconds))
        self._caller = caller
        if caller is not None:
            caller.on_leave(self._abandon)
        if self._transport is not None and not self.broken:
            self._transport.write(wire)

    def end(self) -> None:
        self._asked = False
        if self._caller is not None:
            self._caller.forget(self._abandon)
            self._caller = None

    async def head(self) -> None:
        """Wait until the status and headers are here, or the connection broke."""
        while not self.has_head and not self.broken:
            await self.progress()

    async def progress(self) -> None:
        """Wait until anything new arrives."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def drain(self) -> bytes:
        if not self.parts:
            return b""
        data = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        self.parts.clear()
        self._size = 0
        if self._paused and self._transport is not None and not self.broken:
            self._paused = False
            self._transport.resume_reading()
            # The silence was ours, not the engine's.
            self._last_progress = self._loop.time()
        return data

    def abort(self) -> None:
        self.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.broken = True
        if self._transport is not None:
            self._transport.abort()

    def raise_if_ended(self) -> None:
        """Raise why we broke the connection ourselves, if it was us."""
        if self._timed_out:
            raise EngineTimeout
        if self._caller is not None and self._caller.has_gone:
            raise Abandoned

    def _abandon(self, _caller: Caller) -> None:
        if self._transport is None or self.broken or not self.has_head or self.complete:
            self._break()
            return
        # Half closed, the engine stops just the same, and what it has sent by then still arrives: the
        # account of use has the tokens it counted, not those up to some moment before.
        self._half_closed = True
        self._transport.write_eof()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINGER_SECONDS, self._break)

    def _look_back_in(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._check_silence)

    def _check_silence(self) -> None:
        self._timer = None
        if not self._asked:
            return
        allowed = self._idle_timeout if self.answered else self._first_byte_timeout
        left = allowed - (self._loop.time() - self._last_progress)
        if self.answered and self._paused and left <= 0:
            # The client is slow: that is bounded where the client is written to.
            left = self._idle_timeout
        if left > 0:
            self._look_back_in(min(left, self._first_byte_timeout, self._idle_timeout))
            return
        self._timed_out = True
        self._break()

    def _break(self) -> None:
        self.broken = True
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream transport, as we asked for

    def data_received(self, data: bytes) -> None:
        self._last_progress = self._loop.time()
        self.answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break()
        if self._size > HIGH_WATER_BYTES and not self._paused and self._transport is not None and not self.broken:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.broken = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- httptools

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        self.complete = True
        self.reusable = self._parser.should_keep_alive() and not self._half_closed


def _render(method: str, path: str, body: bytes, request_id: str) -> bytes:
    named = f"x-request-id: {request_id}\r\n" if request_id else ""
    return (
        f"{method} {path} HTTP/1.1\r\nhost: engine\r\n{named}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
