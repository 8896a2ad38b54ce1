"""What the service manager is told (sd_notify(3)); silent where there is none."""

from __future__ import annotations

import socket


class Notifier:
    """Sends state to systemd's notification socket.

    Args:
        address: of the socket, ``@`` first for an abstract one; None where no service manager listens.
    """

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address

    def ready(self) -> None:
        """A real generation has succeeded for the first time."""
        self._send("READY=1")

    def alive(self) -> None:
        """A real generation has succeeded lately: the watchdog may wait again."""
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
            # A service manager that does not listen must not stop the engine; its watchdog will speak.
            return
