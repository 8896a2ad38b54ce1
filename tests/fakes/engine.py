"""A fake OpenAI engine on a real Unix socket, with the ways in which a real one fails.

It answers in vLLM's form (ids, usage, chunked event streams), recorded from
vLLM 0.32 with the demo model. ``mode`` says how it behaves from the next
request on; ``seen`` is what reached it; ``abandoned`` counts answers whose
connection was closed on it before they were complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httptools

MODEL = "fake-llama"
CONTEXT_TOKENS = 2048
OVERFLOW = (
    "This model's maximum context length is 2048 tokens. However, your prompt contains 5000 input tokens, which "
    "exceeds this limit even without any output tokens. Please reduce the length of the input prompt."
)
#: Text that only the engine knows: no response of the gateway may show it.
INTERNAL_TEXT = "Traceback /opt/engine/worker.py EngineDeadError"
MODES = (
    "normal",
    "slow",  # a token every `gap_seconds`
    "held",  # answers when `finish` lets it
    "hangs",  # takes the request, never answers
    "saturated",  # generates for others only, as its counters show
    "wedged",  # its server answers, its core does nothing: the counters stand still
    "hangs_in_stream",  # falls silent after the first token
    "dies_before_answer",  # closes the connection without a byte
    "dies_in_stream",  # closes it after the first tokens
    "dies_in_event",  # closes it in the middle of an event
    "ends_early",  # ends the stream properly but without [DONE]
    "error_event",  # puts an error event of its own into the stream
    "garbage",  # is not HTTP
    "garbage_body",  # 200 with a body that is not JSON
    "overflow",  # 400: the prompt is too long
    "refuses",  # 400 with internal text
    "fails",  # 500 with internal text
    "starting",  # 503
)


@dataclass
class Seen:
    """A request as it reached the engine."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def is_probe(seen: Seen) -> bool:
    """Whether it is the gateway's own one-token request."""
    return seen.json.get("prompt") == "1" and seen.json.get("max_tokens") == 1


class FakeEngine:
    """Runs in a thread with a loop of its own: ``with FakeEngine(path) as engine: …``."""

    def __init__(self, path: Path, *, tokens: int = 5, gap_seconds: float = 0.05) -> None:
        self.path = path
        self.mode = "normal"
        self.tokens = tokens
        #: Of the prompt's seven tokens, those it says it took from its prefix cache.
        self.cached_tokens = 0
        self.gap_seconds = gap_seconds
        self.seen: list[Seen] = []
        self.abandoned = 0
        self.generated = 0
        #: What ``GET /metrics`` answers; nothing is 404.
        self.metrics = b""
        self.held: list[asyncio.Event] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake engine", daemon=True)
        self._connections: set[_Connection] = set()
        self._changed = threading.Condition()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def start(self) -> None:
        """Listen on the socket."""
        self.path.unlink(missing_ok=True)

        async def listen() -> None:
            self._server = await self._loop.create_unix_server(lambda: _Connection(self), str(self.path))

        asyncio.run_coroutine_threadsafe(listen(), self._loop).result(5)

    def stop(self) -> None:
        """Close the socket and every connection, as a killed engine does."""

        async def close() -> None:
            if self._server is not None:
                self._server.close()
                self._server = None
            for connection in list(self._connections):
                connection.transport.abort()
            await asyncio.sleep(0)
            tasks = [connection.task for connection in self._connections if connection.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(5)
        self.path.unlink(missing_ok=True)

    def reset(self) -> bool:
        """Healthy and unused again; whether it was not, so that its clients have just lost something."""

        async def end_answers() -> bool:
            running = [connection for connection in self._connections if connection.answering]
            for connection in running:
                connection.answering = False
                connection.transport.abort()
            tasks = [connection.task for connection in running if connection.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return bool(running)

        disturbed = self.mode not in {"normal", "slow"} or self._server is None
        self.mode, self.tokens, self.cached_tokens, self.gap_seconds = "normal", 5, 0, 0.05
        disturbed |= asyncio.run_coroutine_threadsafe(end_answers(), self._loop).result(5)
        if self._server is None:
            self.start()
        with self._changed:
            self.seen.clear()
            self.abandoned = 0
        return disturbed

    def wait_for_probes(self, count: int, deadline_seconds: float = 5.0) -> bool:
        """Wait until the gateway has asked for that many proofs of life."""
        with self._changed:
            return self._changed.wait_for(
                lambda: sum(seen.method == "POST" for seen in self.seen) - len(self.generations()) >= count,
                deadline_seconds,
            )

    def generations(self) -> list[Seen]:
        """What apps asked for: without the listings and the gateway's one-token probes."""
        return [seen for seen in self.seen if seen.method == "POST" and not is_probe(seen)]

    def wait_for_abandoned(self, count: int, deadline_seconds: float = 5.0) -> bool:
        """Wait until that many answers were abandoned."""
        with self._changed:
            return self._changed.wait_for(lambda: self.abandoned >= count, deadline_seconds)

    def wait_for_generations(self, count: int, deadline_seconds: float = 5.0) -> bool:
        """Wait until that many generations have been asked for."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.generations()) >= count, deadline_seconds)

    def wait_for_held(self, count: int, deadline_seconds: float = 5.0) -> bool:
        """Wait until that many held answers are due."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.held) >= count, deadline_seconds)

    def finish(self, count: int = 1) -> None:
        """Let that many of the held answers go, the oldest first."""
        with self._changed:
            released, self.held = self.held[:count], self.held[count:]
        for event in released:
            self._loop.call_soon_threadsafe(event.set)

    async def hold(self) -> None:
        event = asyncio.Event()
        with self._changed:
            self.held.append(event)
            self._changed.notify_all()
        try:
            await event.wait()
        finally:
            with self._changed:
                if event in self.held:
                    self.held.remove(event)

    def note(self, seen: Seen | None = None) -> None:
        with self._changed:
            if seen is None:
                self.abandoned += 1
            else:
                self.seen.append(seen)
            self._changed.notify_all()


class _Connection(asyncio.Protocol):
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.task: asyncio.Task[None] | None = None
        self.parser = httptools.HttpRequestParser(self)
        self.seen = Seen()
        self.answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.engine._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.engine._connections.discard(self)
        if self.answering:
            self.engine.note()
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.seen = Seen()

    def on_url(self, url: bytes) -> None:
        self.seen.path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.seen.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.seen.body += body

    def on_message_complete(self) -> None:
        self.seen.method = self.parser.get_method().decode()
        self.engine.note(self.seen)
        self.task = asyncio.get_running_loop().create_task(self.answer(self.seen))

    async def answer(self, seen: Seen) -> None:
        mode = self.engine.mode
        self.answering = True
        with contextlib.suppress(asyncio.CancelledError):
            if mode == "hangs":
                await asyncio.Event().wait()
            elif mode in {"dies_before_answer", "garbage"}:
                if mode == "garbage":
                    self.transport.write(b"\x00\x01 this is not HTTP\r\n\r\n" * 8)
                self.answering = False
                self.transport.close()
            elif seen.path == "/v1/models":
                self.whole(200, {"object": "list", "data": [_card()]})
            elif mode in _REFUSALS:
                status, message = _REFUSALS[mode]
                self.whole(status, {"error": {"message": message, "type": "X", "param": None, "code": status}})
            elif mode == "garbage_body":
                self.raw(200, b"<html>" + INTERNAL_TEXT.encode())
            elif seen.path == "/metrics" and (page := self.metrics()):
                self.raw(200, page)
            elif mode in {"saturated", "wedged"}:
                await asyncio.Event().wait()
            elif seen.path in {"/v1/chat/completions", "/v1/completions"}:
                await self.generate(seen)
            else:
                self.whole(404, {"detail": "Not Found"})

    def metrics(self) -> bytes:
        if self.engine.mode not in {"saturated", "wedged"}:
            return self.engine.metrics
        self.engine.generated += self.engine.mode == "saturated"
        return b'vllm:generation_tokens_total{engine="0"} %d\n' % self.engine.generated

    async def generate(self, seen: Seen) -> None:
        asked = seen.json
        chat = seen.path == "/v1/chat/completions"
        if self.engine.mode == "held" and not is_probe(seen):
            await self.engine.hold()
        tokens = min(asked.get("max_tokens") or self.engine.tokens, self.engine.tokens)
        usage = {
            "prompt_tokens": 7,
            "total_tokens": 7 + tokens,
            "completion_tokens": tokens,
            "prompt_tokens_details": {"cached_tokens": self.engine.cached_tokens},
        }
        head = {"id": "chatcmpl-fake" if chat else "cmpl-fake", "created": 1, "model": asked["model"]}
        if not asked.get("stream"):
            text = "".join(f"tok{i} " for i in range(tokens))
            if self.engine.mode == "slow":
                await asyncio.sleep(self.engine.gap_seconds * tokens)
            choices = [
                {"index": i, "finish_reason": "stop", "logprobs": None}
                | ({"message": {"role": "assistant", "content": text}} if chat else {"text": text})
                for i in range(asked.get("n") or 1)
            ]
            kind = "chat.completion" if chat else "text_completion"
            self.whole(200, {**head, "object": kind, "choices": choices, "usage": usage})
            return
        await self.stream(asked, head, chat, tokens, usage)

    async def stream(self, asked: Any, head: Any, chat: bool, tokens: int, usage: Any) -> None:
        mode = self.engine.mode
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        head["object"] = "chat.completion.chunk" if chat else "text_completion"
        for i in range(tokens):
            content = {"delta": {"content": f"tok{i} "}} if chat else {"text": f"tok{i} "}
            event = self.event(
                {**head, "choices": [{"index": 0, **content, "finish_reason": None}], **_running(asked, i + 1)}
            )
            if mode == "dies_in_event" and i == 1:
                self.chunk(event[: len(event) // 2])
            else:
                self.chunk(event)
            if i == 1 and mode in {"dies_in_stream", "dies_in_event"}:
                self.answering = False
                self.transport.close()
                return
            if i == 1 and mode == "hangs_in_stream":
                await asyncio.Event().wait()
            if i == 1 and mode == "error_event":
                self.chunk(self.event({"error": {"message": INTERNAL_TEXT, "type": "X", "code": 500}}))
            if mode == "slow":
                await asyncio.sleep(self.engine.gap_seconds)
        content = {"delta": {}} if chat else {"text": ""}
        last = {"index": 0, **content, "finish_reason": "stop"}
        self.chunk(self.event({**head, "choices": [last], **_running(asked, tokens)}))
        if (asked.get("stream_options") or {}).get("include_usage"):
            self.chunk(self.event({**head, "choices": [], "usage": usage}))
        if mode != "ends_early":
            self.chunk(b"data: [DONE]\n\n")
        self.answering = False
        self.transport.write(b"0\r\n\r\n")

    @staticmethod
    def event(value: Any) -> bytes:
        return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"

    def chunk(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%s\r\n" % (len(data), data))

    def whole(self, status: int, value: Any) -> None:
        self.raw(status, json.dumps(value, separators=(",", ":")).encode())

    def raw(self, status: int, body: bytes) -> None:
        self.answering = False
        self.transport.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (status, len(body), body)
        )


_REFUSALS = {
    "overflow": (400, OVERFLOW),
    "refuses": (400, INTERNAL_TEXT),
    "fails": (500, INTERNAL_TEXT),
    "starting": (503, INTERNAL_TEXT),
}


def _running(asked: Any, tokens: int) -> dict[str, Any]:
    """vLLM's count in every event, for who asks for it."""
    if not (asked.get("stream_options") or {}).get("continuous_usage_stats"):
        return {}
    return {"usage": {"prompt_tokens": 7, "total_tokens": 7 + tokens, "completion_tokens": tokens}}


def _card() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 1, "owned_by": "vllm", "max_model_len": CONTEXT_TOKENS}
