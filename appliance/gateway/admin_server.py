"""The admin listener: a second uvicorn server in the gateway's event loop.

It goes down after the public listener, so that a scrape shows how running
answers finish.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from appliance import logs
from appliance.gateway.asgi import ASGIApp
from appliance.gateway.protocol import GatewayProtocol

_log = logs.get(__name__)
#: Prometheus and a few people: each holds one.
MAX_CONNECTIONS = 64
#: A scrape that is running when the process stops.
GRACE_SECONDS = 2


class AdminServer(uvicorn.Server):
    """The server, which leaves the process's signals to the public one.

    Args:
        app: what it serves.
        listener: its socket, already listening.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        protocol = type("AdminProtocol", (GatewayProtocol,), {"max_connections": MAX_CONNECTIONS})
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._listener = listener

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def beside(self, public: uvicorn.Server, listener: socket.socket) -> None:
        """Serve as long as the public listener does."""
        address, port = self._listener.getsockname()[:2]
        _log.info("admin listens", address=address, port=port)
        serving = asyncio.create_task(self.serve(sockets=[self._listener]))
        try:
            await public.serve(sockets=[listener])
        finally:
            self.should_exit = True
            await serving
