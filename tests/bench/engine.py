"""An engine that costs almost nothing, so that what is measured is whoever stands before it.

It serves two models, which differ in their pace. ``bench`` answers at once, as a
whole or as a stream. ``bench-paced`` makes 40 tokens a second: a stream gets one
token at a time, a whole answer comes after ``max_tokens`` of them. Each paced
token carries the moment it was written (``time.monotonic_ns``, one clock for all
processes of a machine), so a client knows how late it is.
Run as ``python -m tests.bench.engine SOCKET PORT``.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time

import uvloop

MODEL, PACED_MODEL = "bench", "bench-paced"
TOKENS_A_SECOND = 40
ANSWER_CHARACTERS = 400
_MAX_TOKENS = re.compile(rb'"max_(?:completion_)?tokens": ?(\d+)')
_LENGTH = re.compile(rb"content-length: ?(\d+)", re.IGNORECASE)
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"bench","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"%s"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":250,'
    b'"total_tokens":350,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":240}}}'
    % (b"x" * ANSWER_CHARACTERS)
)
_CARD = b'{"id":"%s","object":"model","created":1,"owned_by":"bench","max_model_len":8192}'
_LISTING = b'{"object":"list","data":[%s]}' % b",".join(_CARD % name.encode() for name in (MODEL, PACED_MODEL))
_EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench","choices":[{"index":0,'
    b'"delta":{"content":"%d "},"logprobs":null,"finish_reason":null}]}\n\n'
)
_USAGE = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench","choices":[],'
    b'"usage":{"prompt_tokens":250,"total_tokens":%d,"completion_tokens":%d,'
    b'"prompt_tokens_details":{"cached_tokens":240}}}\n\n'
)
_DONE = b"data: [DONE]\n\n"
ANSWER = _JSON % (len(_ANSWER), _ANSWER)
LISTING = _JSON % (len(_LISTING), _LISTING)


class Connection(asyncio.Protocol):
    """One client connection; requests one after another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream, as we asked for
        self.loop = asyncio.get_running_loop()
        self.buffer = b""
        self.timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self.buffer, 0, end)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(self.buffer) < size:
                return
            request, self.buffer = self.buffer[:size], self.buffer[size:]
            self.answer(request)

    def answer(self, request: bytes) -> None:
        if request.startswith(b"GET"):
            self.transport.write(LISTING)
            return
        found = _MAX_TOKENS.search(request)
        self.tokens = int(found[1]) if found else 100
        paced = b'"bench-paced"' in request
        if b'"stream":true' in request or b'"stream": true' in request:
            if not paced:
                self.transport.write(_STREAM + _chunk(_EVENT % 0) * self.tokens + self.last())
                return
            self.transport.write(_STREAM)
            self.left, self.next = self.tokens, self.loop.time()
            self.token()
        elif paced:
            self.timer = self.loop.call_later(self.tokens / TOKENS_A_SECOND, self.transport.write, ANSWER)
        else:
            self.transport.write(ANSWER)

    def token(self) -> None:
        if self.left == 0:
            self.transport.write(self.last())
            return
        self.left -= 1
        self.transport.write(_chunk(_EVENT % time.monotonic_ns()))
        self.next += 1 / TOKENS_A_SECOND
        self.timer = self.loop.call_at(self.next, self.token)

    def last(self) -> bytes:
        return _chunk(_USAGE % (250 + self.tokens, self.tokens)) + _chunk(_DONE) + b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def main(path: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    # Held by name: uvloop closes a listener whose server object nobody keeps.
    servers = [
        await loop.create_unix_server(Connection, path, backlog=1024),
        await loop.create_server(Connection, "127.0.0.1", port, backlog=1024),
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
