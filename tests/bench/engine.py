"""An engine that costs almost nothing, so that what is measured is whoever stands before it.

It answers any POST at once with one canned completion, or streams tokens at a
fixed pace. Each streamed token carries the moment it was written
(``time.monotonic_ns``, one clock for all processes of a machine), so a client
knows how late it is. Run as ``python -m tests.bench.engine SOCKET PORT``.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

MODEL = "bench"
TOKENS_A_SECOND = 40
ANSWER_CHARACTERS = 400
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_BODY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"bench","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"%s"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":250,'
    b'"total_tokens":350,"completion_tokens":100}}' % (b"x" * ANSWER_CHARACTERS)
)
_MODELS = (
    b'{"object":"list","data":[{"id":"bench","object":"model","created":1,"owned_by":"bench","max_model_len":8192}]}'
)
_EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench","choices":[{"index":0,'
    b'"delta":{"content":"%d "},"logprobs":null,"finish_reason":null}]}\n\n'
)
_USAGE = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench","choices":[],'
    b'"usage":{"prompt_tokens":250,"total_tokens":450,"completion_tokens":200}}\n\n'
)
ANSWER = _JSON % (len(_BODY), _BODY)
LISTING = _JSON % (len(_MODELS), _MODELS)


class Connection(asyncio.Protocol):
    """One client connection; requests one after another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self.timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + size:
                return
            body = self.buffer[end + 4 : end + 4 + size]
            self.buffer = self.buffer[end + 4 + size :]
            self.answer(head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get"):
            self.transport.write(LISTING)
        elif b'"stream":true' in body or b'"stream": true' in body:
            self.transport.write(_STREAM)
            at = body.find(b'"max_tokens":')
            self.left = int(body[at + 13 :].split(b",", 1)[0].split(b"}", 1)[0])
            self.next = asyncio.get_running_loop().time()
            self.token()
        else:
            self.transport.write(ANSWER)

    def token(self) -> None:
        if self.left == 0:
            done = b"data: [DONE]\n\n"
            self.transport.write(b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(_USAGE), _USAGE, len(done), done))
            return
        self.left -= 1
        event = _EVENT % time.monotonic_ns()
        self.transport.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.next += 1 / TOKENS_A_SECOND
        self.timer = asyncio.get_running_loop().call_at(self.next, self.token)


async def main(path: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_unix_server(Connection, path, backlog=1024)
    await loop.create_server(Connection, "127.0.0.1", port, backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
