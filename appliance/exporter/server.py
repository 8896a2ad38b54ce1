"""The listener: ``GET /metrics``, a line of text at ``/``, and nothing else."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from appliance.errors import PortTaken, SettingsInvalid
from appliance.exporter.metrics import CONTENT_TYPE

#: Connections served at once; Prometheus keeps one. Further ones are closed unanswered.
MAX_CONNECTIONS = 16
#: Longer than a usual scrape interval, so that Prometheus keeps its connection.
IDLE_SECONDS = 75.0
_INDEX = b"The appliance's GPU exporter. Metrics are at /metrics.\n"


class Server(ThreadingHTTPServer):
    """Answers scrapes, each connection in a thread of its own.

    Args:
        host: address to bind.
        port: its port, 0 for any.
        scrape: makes the body of ``/metrics``.
        turned: called whenever the loop that takes connections comes round, twice a second at least.
        descriptor: of a socket that listens already, in place of host and port.

    Raises:
        PortTaken: another process listens there.
        SettingsInvalid: the address is not one of this machine's, or needs rights.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self,
        host: str,
        port: int,
        scrape: Callable[[], bytes],
        turned: Callable[[], None] = lambda: None,
        descriptor: int | None = None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.scrape = scrape
        self._turned = turned
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        if descriptor is not None:
            self._adopt(descriptor)
            return
        try:
            super().__init__((host, port), _Handler)
        except OSError as err:
            if err.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"Port {port} is taken by another process.",
                    remedy="Stop that process, or choose another port with APPLIANCE_EXPORTER__PORT.",
                ) from None
            raise SettingsInvalid(
                f"The exporter cannot listen on {host} port {port}: {err.strerror}.",
                remedy="Set exporter.host to an address of this machine and exporter.port to one this user may use.",
            ) from None

    def _adopt(self, descriptor: int) -> None:
        # The base class opens a socket in any case, and this process may open none of the internet's.
        self.address_family = socket.AF_UNIX
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=descriptor)
        self.address_family = self.socket.family
        self.server_address = self.socket.getsockname()

    def server_bind(self) -> None:
        """Bind without looking the host's name up, which may ask a name server."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def service_actions(self) -> None:
        """Called by ``serve_forever`` each time round."""
        self._turned()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Take the connection if there is room for it."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Serve it, then make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Head and body leave together and at once: else the body waits 40 ms for the head to be acknowledged.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(HTTPStatus.OK, self.server.scrape(), CONTENT_TYPE)
        elif path == "/":
            self._answer(HTTPStatus.OK, _INDEX)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"Not found. Metrics are at /metrics.\n")

    do_HEAD = do_GET  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Plain text that repeats nothing of the request."""
        self.close_connection = True
        self._answer(HTTPStatus(code), f"{HTTPStatus(code).phrase}\n".encode())

    def version_string(self) -> str:
        return "appliance-exporter"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Scrapes are not logged."""

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
