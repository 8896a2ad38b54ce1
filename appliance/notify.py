"""What the service manager is told (sd_notify(3)); silent where there is none."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

#: Signs of life within the watchdog's time-out: one or two may come late.
BEATS = 4


class Notifier:
    """Sends state to systemd's notification socket.

    Args:
        address: of the socket, ``@`` first for an abstract one; None where no service manager listens.
    """

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address

    def ready(self) -> None:
        """The service does its work for the first time."""
        self._send("READY=1")

    def alive(self) -> None:
        """The service did its work lately: the watchdog may wait again."""
        self._send("WATCHDOG=1")

    def patience(self, seconds: float) -> None:
        """Set the watchdog's time-out anew; loading a model takes longer than a token."""
        self._send(f"WATCHDOG_USEC={int(seconds * 1_000_000)}\nWATCHDOG=1")

    def stopping(self) -> None:
        """The service is going down on request."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(f"STATUS={text}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode(), self._address)
        except OSError:
            # A service manager that does not listen must not stop the service; its watchdog will speak.
            return


class Heartbeat:
    """Signs of life of a loop that turns often, sent as often as the watchdog needs them.

    Args:
        notifier: where they go.
        watchdog_seconds: the watchdog's time-out; None where there is none.
        clock: monotonic seconds.
    """

    def __init__(
        self, notifier: Notifier, watchdog_seconds: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._notifier = notifier
        self._interval_seconds = None if watchdog_seconds is None else watchdog_seconds / BEATS
        self._clock = clock
        self._due = 0.0

    def beat(self) -> None:
        """The loop has come round."""
        if self._interval_seconds is not None and (now := self._clock()) >= self._due:
            self._due = now + self._interval_seconds
            self._notifier.alive()
