"""uvicorn's HTTP protocol with what it lacks on an open port.

A cap and a deadline for the header block, refusals in the OpenAI form, one
request at a time on a connection, and a body that survives an offer to
upgrade (Java's HttpClient offers HTTP/2 with every first request).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from appliance.core import error_body
from appliance.errors import ApplianceError, HeadersTooLarge, InvalidRequest, TooManyConnections
from appliance.gateway import caller
from appliance.gateway.asgi import Scope
from appliance.gateway.caller import Caller

_REASONS = {400: b"Bad Request", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}
#: Headers that offer another protocol (RFC 9110, section 7.8; RFC 7540, section 3.2.1).
_OFFERS = frozenset({b"connection", b"http2-settings", b"upgrade"})


class GatewayProtocol(HttpToolsProtocol):
    """One client connection.

    Subclass it with :attr:`max_header_bytes` and :attr:`header_timeout_seconds` set.
    """

    max_header_bytes = 16_384
    #: Longest time for the header block to arrive: a client that drips bytes holds nothing.
    header_timeout_seconds = 30.0
    #: Longest time in which a client may take nothing of its answer: it holds a slot of the engine meanwhile.
    write_timeout_seconds = 30.0
    #: Most connections; on a further one the first request is refused. Half as many again are cut off unheard.
    max_connections = 4096
    #: Told the key of the error of every refusal that is no request to the application.
    on_refusal: Callable[[str], None] = staticmethod(lambda _key: None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # uvicorn knows websockets; the appliance has none, and an upgrade is ignored.
        self.ws_protocol_class = None
        self._header_bytes = 0
        self._unparsed_bytes = 0
        self._in_headers = False
        self._offered = False
        self._deaf = False
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._caller: Caller | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take the connection, or cut it off where there are far too many."""
        super().connection_made(transport)
        self._expect_headers()
        if len(self.connections) > self.max_connections * 3 // 2:
            transport.abort()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to: see that it reads at all."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_timeout_seconds, self._give_up)

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._stop_write_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers too, and tell whoever works on the request."""
        self._stop_timer()
        self._stop_write_timer()
        super().connection_lost(exc)
        if self._caller is not None:
            self._caller.leave()

    def on_message_begin(self) -> None:
        """Count this request's headers from zero; a request before the last one's answer is not taken.

        Pipelining: uvicorn would lose sight of the running request and no
        longer notice that its client left. A server may close instead
        (RFC 9112, section 9.3.2); the running answer is still completed.
        """
        if self._is_answering():
            self._stop_listening()
            raise ValueError  # ends the parsing
        super().on_message_begin()
        self._header_bytes = self._unparsed_bytes = 0
        self._in_headers = True
        self._offered = False

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
        self._in_headers = False
        self._stop_timer()
        if self.parser.get_method() == b"CONNECT":
            raise ValueError  # not a proxy
        self._offered = self.parser.should_upgrade()
        if not self._offered:
            super().on_headers_complete()
            self._caller = Caller()
            caller.attach(cast("Scope", self.cycle.scope), self._caller)

    def on_message_complete(self) -> None:
        """The request is whole; one that offers an upgrade is parsed again without the offer."""
        if not self._offered:
            super().on_message_complete()
            if self._caller is not None:
                self._caller.sent_all = True

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        if self._deaf:
            return
        if len(self.connections) > self.max_connections and not self._is_busy():
            self._deaf = True
            self._refuse(TooManyConnections(headers={"retry-after": "1"}))
            return
        self._unset_keepalive_if_required()
        if self._header_timer is None and not self._is_busy():
            self._expect_headers()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")
        else:
            self._count_unparsed(len(data))

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or is too much of it, and close; a running answer is completed first."""
        if self._deaf:
            return
        if self._is_answering():
            self._stop_listening()
        elif self._is_busy() and self.cycle.response_started:
            self.transport.close()
        else:
            too_large = max(self._header_bytes, self._unparsed_bytes) > self.max_header_bytes
            self._refuse(HeadersTooLarge() if too_large else InvalidRequest("This is not a valid HTTP request."))

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_answering(self) -> bool:
        """Whether a whole request is being answered."""
        return self._is_busy() and not self.cycle.more_body

    def _stop_listening(self) -> None:
        self._deaf = True
        self.cycle.keep_alive = False

    def _decline(self, rest: bytes) -> None:
        """Take the request as if it had not offered an upgrade: with its body, which the parser left aside."""
        head = [self.parser.get_method() + b" " + self.url + b" HTTP/1.1\r\n"]
        head += [name + b": " + value + b"\r\n" for name, value in self.headers if name not in _OFFERS]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join(head) + b"\r\n" + rest)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self.max_header_bytes:
            raise ValueError  # httptools stops parsing and reports it, which ends in send_400_response

    def _count_unparsed(self, size: int) -> None:
        """A name or value that never ends reaches no callback: count the bytes of an unfinished header block."""
        if self._in_headers:
            self._unparsed_bytes += size
            if self._unparsed_bytes > self.max_header_bytes:
                self.send_400_response("")

    def _expect_headers(self) -> None:
        self._header_timer = self.loop.call_later(self.header_timeout_seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _give_up(self) -> None:
        # What is still to be written would keep a closing connection open.
        self.transport.abort()

    def _refuse(self, err: ApplianceError) -> None:
        self.on_refusal(err.key)
        body = error_body.render(err)
        headers = "".join(f"{name}: {value}\r\n" for name, value in err.headers.items()).encode()
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nx-request-id: req-%s\r\n"
            b"%sconnection: close\r\n\r\n%s"
            % (err.status, _REASONS[err.status], len(body), secrets.token_hex(16).encode(), headers, body)
        )
        self.transport.close()
