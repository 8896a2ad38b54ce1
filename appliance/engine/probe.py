"""Asks a running engine for one token, and reads its token counters, over its Unix socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httptools

from appliance.core.progress import read
from appliance.core.progress import unfinished as read_unfinished

MAX_ANSWER_BYTES = 8 * 1024**2


class ProbeFailed(Exception):
    """The engine refused, closed the connection or answered nonsense; the text is a fixed word."""


async def generate(socket_path: Path, model: str) -> None:
    """Have one token generated.

    Args:
        socket_path: the engine's Unix socket.
        model: its served name.

    Raises:
        ProbeFailed: no token came. A wait without end is the caller's to cancel.
    """
    body = json.dumps({"model": model, "prompt": "1", "max_tokens": 1, "temperature": 0}).encode()
    head = (
        "POST /v1/completions HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = await _exchange(socket_path, head.encode() + body)
    try:
        tokens = json.loads(answer)["usage"]["completion_tokens"]
    except (ValueError, KeyError, TypeError):
        raise ProbeFailed("garbage") from None
    if not isinstance(tokens, int) or tokens < 1:
        raise ProbeFailed("no token")


async def counters(socket_path: Path) -> tuple[float, ...]:
    """The engine's progress: a tuple that changes whenever the engine core does work.

    Raises:
        ProbeFailed: the metrics could not be read.
    """
    return progress(await _metrics(socket_path))


async def unfinished(socket_path: Path) -> float:
    """How many requests the engine has not finished.

    Raises:
        ProbeFailed: the metrics could not be read.
    """
    try:
        return read_unfinished(await _metrics(socket_path))
    except ValueError:
        raise ProbeFailed("garbage") from None


def progress(metrics: str) -> tuple[float, ...]:
    """As ``core.progress.read``; raises ProbeFailed where that raises ValueError."""
    try:
        return read(metrics)
    except ValueError:
        raise ProbeFailed("garbage") from None


async def _metrics(socket_path: Path) -> str:
    answer = await _exchange(socket_path, b"GET /metrics HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n")
    return answer.decode("utf-8", errors="replace")


class _Answer:
    """One HTTP response as httptools feeds it."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.complete = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


async def _exchange(socket_path: Path, request: bytes) -> bytes:
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket_path))
    except OSError:
        raise ProbeFailed("no connection") from None
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    try:
        writer.write(request)
        while not answer.complete:
            data = await reader.read(65_536)
            if not data or len(answer.body) > MAX_ANSWER_BYTES:
                raise ProbeFailed("broken answer")
            parser.feed_data(data)
    except (OSError, httptools.HttpParserError):
        raise ProbeFailed("broken answer") from None
    finally:
        writer.close()
    if parser.get_status_code() != 200:
        raise ProbeFailed("refused")
    return bytes(answer.body)
