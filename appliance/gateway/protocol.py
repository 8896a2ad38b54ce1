"""uvicorn's HTTP protocol with two things it lacks: a cap on headers, and refusals in the OpenAI form."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from appliance.core import error_body
from appliance.errors import ApplianceError, HeadersTooLarge, InvalidRequest

_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class GatewayProtocol(HttpToolsProtocol):
    """One client connection.

    Subclass it with :attr:`max_header_bytes` and :attr:`header_timeout_seconds` set.
    """

    max_header_bytes = 16_384
    #: Longest time for the header block to arrive: a client that drips bytes holds nothing.
    header_timeout_seconds = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # uvicorn knows websockets; the appliance has none, and an upgrade is ignored.
        self.ws_protocol_class = None
        self._header_bytes = 0
        self._headers_done = True
        self._too_large = False
        self._header_timer = self.loop.call_later(self.header_timeout_seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer too."""
        self._header_timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Count this request's headers from zero."""
        super().on_message_begin()
        self._header_bytes = 0
        self._headers_done = False

    def on_url(self, url: bytes) -> None:
        """Count the request target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The header block is whole."""
        self._headers_done = True
        self._header_timer.cancel()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a header that never ends is counted as well."""
        if not self._headers_done:
            self._header_bytes += len(data)
            if self._header_bytes > 2 * self.max_header_bytes:
                self._too_large = True
                self.send_400_response("")
                return
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or is too much of it, and close."""
        self._refuse(HeadersTooLarge() if self._too_large else InvalidRequest("This is not a valid HTTP request."))

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self.max_header_bytes:
            self._too_large = True
            raise ValueError  # httptools stops parsing and reports it, which ends in send_400_response

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, err: ApplianceError) -> None:
        body = error_body.render(err)
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (err.status, _REASONS[err.status], len(body), body)
        )
        self.transport.close()
