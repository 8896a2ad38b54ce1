"""The TLS handshakes of the public listener: they count as connections, and end in time.

uvicorn learns of a connection when its handshake is done. Who opens
connections and never finishes one would be seen by nobody, and hold a file
descriptor for each. So the listener takes plain connections, and each goes
through a :class:`Handshake` before it is uvicorn's.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import Any, cast

from uvicorn.server import ServerState

#: A client on the LAN needs a few packets.
SECONDS = 10.0


class Handshakes:
    """The handshakes under way, oldest first.

    Args:
        max_connections: of the listener; half of it may be handshakes, and half as many again is the most of both.
    """

    def __init__(self, max_connections: int) -> None:
        self._most = max(1, max_connections // 2)
        self._most_of_all = max_connections * 3 // 2
        self._under_way: dict[Handshake, None] = {}

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._under_way)

    def enter(self, handshake: Handshake, connections: int) -> None:
        """Count one more; where there are too many, the oldest goes: an honest client's has long been done.

        Args:
            handshake: whose transport is connected.
            connections: that are done with theirs.
        """
        self._under_way[handshake] = None
        while len(self) > self._most or (len(self) and len(self) + connections > self._most_of_all):
            oldest = next(iter(self._under_way))
            self.leave(oldest)
            oldest.abort()

    def leave(self, handshake: Handshake) -> None:
        """It is done, or given up."""
        self._under_way.pop(handshake, None)

    def close(self) -> None:
        """Give up all of them."""
        for handshake in list(self._under_way):
            self.leave(handshake)
            handshake.abort()


class Handshake(asyncio.Protocol):
    """A connection until its handshake is done. Its arguments are those of uvicorn's protocols.

    Subclass it with the attributes below set.
    """

    #: Made for a connection whose handshake is done.
    protocol: type[asyncio.Protocol]
    #: Of the server's side.
    context: ssl.SSLContext
    #: All handshakes of the listener.
    account: Handshakes
    #: Longest time for one.
    seconds = SECONDS

    def __init__(self, server_state: ServerState, **arguments: Any) -> None:
        self._server_state = server_state
        self._arguments = arguments
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it and begin, unless there are too many.

        The plain transport would read what belongs to the handshake: the connection goes on without it.
        """
        self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        self._socket.setblocking(False)
        cast("asyncio.Transport", transport).abort()
        self._task = asyncio.get_running_loop().create_task(self._run(self._socket))
        self.account.enter(self, len(self._server_state.connections))

    def abort(self) -> None:
        """Give up."""
        if self._task is not None:
            self._task.cancel()
        if self._socket is not None:
            self._socket.close()  # the transport that may have it by now keeps it until it is done

    async def _run(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self.protocol(server_state=self._server_state, **self._arguments),  # type: ignore[call-arg]  # as uvicorn
                connection,
                ssl=self.context,
                ssl_handshake_timeout=self.seconds,
            )
        except (OSError, ssl.SSLError):  # the client left, was no client of TLS, or too slow
            connection.close()
        finally:
            self.account.leave(self)
