"""One token over a Unix socket, and what counts as one."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from appliance.engine import probe
from appliance.engine.probe import ProbeFailed

pytestmark = pytest.mark.anyio
GOOD = json.dumps({"choices": [{"text": "1"}], "usage": {"completion_tokens": 1}}).encode()


def response(body=GOOD, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(body):
    half = len(body) // 2
    parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"


@pytest.fixture
def path(state_dir):
    return state_dir / "engine.sock"


@contextlib.asynccontextmanager
async def server(path, answer):
    """Answers every request with these bytes and keeps the last request."""
    requests = []

    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
        requests.append((head, await reader.readexactly(length)))
        writer.write(answer)
        await writer.drain()
        writer.close()

    listener = await asyncio.start_unix_server(handle, str(path))
    try:
        yield requests
    finally:
        listener.close()
        await listener.wait_closed()


async def test_token_is_asked_for_by_name_and_accepted(path):
    async with server(path, response()) as requests:
        await probe.generate(path, "tutor")
    head, body = requests[0]
    assert head.startswith(b"POST /v1/completions HTTP/1.1\r\n")
    assert json.loads(body) == {"model": "tutor", "prompt": "1", "max_tokens": 1, "temperature": 0}


async def test_chunked_answer_is_understood(path):
    async with server(path, chunked(GOOD)):
        assert await probe.generate(path, "tutor") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        response()[:-5],
        response(b"[]"),
        response(b"not json"),
        response(b'{"usage": {"completion_tokens": 0}}'),
        response(b'{"usage": {"completion_tokens": null}}'),
        response(status="503 Service Unavailable"),
        response(status="500 Internal Server Error"),
    ],
)
async def test_anything_but_a_token_is_a_failure(path, answer):
    async with server(path, answer):
        with pytest.raises(ProbeFailed):
            await probe.generate(path, "tutor")


async def test_endless_answer_is_cut_off(path, monkeypatch):
    monkeypatch.setattr(probe, "MAX_ANSWER_BYTES", 100_000)
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 1_000_000
    async with server(path, endless):
        with pytest.raises(ProbeFailed, match="broken answer"):
            await probe.generate(path, "tutor")


@pytest.mark.parametrize("kind", ["absent", "not listening"])
async def test_engine_that_does_not_listen_is_a_failure(path, kind):
    import socket

    with socket.socket(socket.AF_UNIX) as bound:
        if kind == "not listening":
            bound.bind(str(path))
        with pytest.raises(ProbeFailed, match="no connection"):
            await probe.generate(path, "tutor")


async def test_counters_are_sums_over_labels_in_a_fixed_order(path):
    metrics = b"""# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="a b"} 41.0
vllm:generation_tokens_total{engine="1",model_name="a b"} 1.0
vllm:generation_tokens_created{engine="0"} 1.7e+09
vllm:prompt_tokens_total{engine="0",model_name="a b"} 1e3
vllm:kv_cache_usage_perc{engine="0",model_name="a b"} 0.25
"""
    async with server(path, response(metrics)):
        assert await probe.counters(path) == (42.0, 1000.0, 0.0, 0.25, 0.0)


def test_number_that_is_none_is_a_failure():
    with pytest.raises(ProbeFailed):
        probe.progress("vllm:prompt_tokens_total{} nonsense")
