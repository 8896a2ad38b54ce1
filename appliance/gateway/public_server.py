"""The public listener's server: tells the service manager how it is, and takes a renewed certificate."""

from __future__ import annotations

import asyncio
import signal
import socket
import time

import uvicorn

from appliance.gateway.handshake import Handshakes
from appliance.gateway.tls import LOOK_SECONDS, Certificate
from appliance.notify import Heartbeat, Notifier

#: Beyond the grace for running answers, to close what is left.
CLOSING_SECONDS = 30.0


class PublicServer(uvicorn.Server):
    """The server.

    Args:
        config: of the public listener.
        notifier: told once the listener takes connections, and that the event loop turns.
        watchdog_seconds: how often it wants to be told; None for never.
        certificate: renewed at SIGHUP, and when its files change; None without TLS.
        handshakes: given up when it stops.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        notifier: Notifier,
        watchdog_seconds: float | None = None,
        certificate: Certificate | None = None,
        handshakes: Handshakes | None = None,
    ) -> None:
        super().__init__(config)
        self._notifier = notifier
        self._watchdog_seconds = watchdog_seconds
        self._heart = Heartbeat(notifier, watchdog_seconds)
        self._certificate = certificate
        self._handshakes = handshakes
        self._look_at = time.monotonic() + LOOK_SECONDS

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections."""
        await super().startup(sockets)
        if self._certificate is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._renew, self._certificate)
        self._notifier.ready()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second, from the event loop that answers."""
        self._heart.beat()
        if self._certificate is not None and (now := time.monotonic()) >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._certificate.renew_if_changed(time.time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running answers finish; the watchdog waits as long."""
        self._notifier.stopping()
        if self._watchdog_seconds is not None:
            self._notifier.patience((self.config.timeout_graceful_shutdown or 0) + CLOSING_SECONDS)
        if self._handshakes is not None:
            self._handshakes.close()
        await super().shutdown(sockets)

    def _renew(self, certificate: Certificate) -> None:
        certificate.renew(time.time())
