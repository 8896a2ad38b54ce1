"""A small HTTP/1.1 client on uvloop: cheap enough not to be what is measured."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

_LENGTH = re.compile(rb"\r\ncontent-length: ?(\d+)", re.IGNORECASE)
_END_OF_CHUNKS = b"\r\n0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One kept connection; one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[bytes] | None = None
        #: Told of every piece of a body, if set.
        self.on_data: Callable[[bytes], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream, as we asked for
        self._loop = asyncio.get_running_loop()

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; the future holds the whole answer as it came."""
        self._answer = self._loop.create_future()
        self._buffer = b""
        self._size = -1
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            return
        if self.on_data is not None:
            self.on_data(data)
            # Of a stream only its end is looked for, and its head is kept.
            self._buffer = self._buffer[-8:] + data if self._size == 0 else self._buffer + data
        else:
            self._buffer += data
        if self._size < 0 and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            if not self._buffer.startswith(b"HTTP/1.1 200"):
                self._answer.set_exception(ConnectionError(self._buffer[:300].decode(errors="replace")))
                return
            found = _LENGTH.search(self._buffer, 0, end)
            self._size = end + 4 + int(found[1]) if found else 0
        if (self._size > 0 and len(self._buffer) >= self._size) or (
            self._size == 0 and self._buffer.endswith(_END_OF_CHUNKS)
        ):
            self._answer.set_result(self._buffer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection was closed within an answer"))


async def connect(place: int | str) -> Connection:
    """A new connection to a TCP port of this machine, or to the path of a Unix socket."""
    loop = asyncio.get_running_loop()
    if isinstance(place, str):
        _, connection = await loop.create_unix_connection(Connection, place)
    else:
        _, connection = await loop.create_connection(Connection, "127.0.0.1", place)
    return connection
