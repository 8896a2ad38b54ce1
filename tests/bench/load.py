"""The load: how many a second, how much time is added, how late the tokens are."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from tests.bench.contenders import LOAD_CORE, Target

PROMPT_BYTES = 1000


def body(target: Target, **fields: object) -> bytes:
    messages = [{"role": "user", "content": "x" * PROMPT_BYTES}]
    return json.dumps({"model": target.model, "messages": messages, "max_tokens": 100, **fields}).encode()


def wire(target: Target, payload: bytes) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\n{head}content-type: application/json\r\n"
        f"content-length: {len(payload)}\r\n\r\n"
    ).encode() + payload


def throughput(target: Target, directory: Path, *, connections: int = 32, seconds: int = 6) -> float:
    """Requests a second with all connections always busy, by wrk (Debian)."""
    script = directory / "post.lua"
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in target.headers.items())
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n{headers}wrk.body = [[{body(target).decode()}]]\n'
    )
    command = ["taskset", "-c", str(LOAD_CORE), shutil.which("wrk") or "wrk", "-t1", f"-c{connections}"]
    url = f"http://127.0.0.1:{target.port}/v1/chat/completions"
    done = subprocess.run(
        [*command, f"-d{seconds}s", "-s", str(script), url], capture_output=True, text=True, check=True
    )
    if "Non-2xx" in done.stdout:
        message = f"{target.name}: not every answer was a 200\n{done.stdout}"
        raise RuntimeError(message)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    return float(rate[1]) if rate else 0.0


@dataclass(frozen=True)
class Spread:
    """Times in milliseconds."""

    median: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> Spread:
        ordered = sorted(seconds)
        return cls(ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.99)] * 1000)


def latency(targets: list[Target], *, rate: int = 100, seconds: int = 10) -> list[Spread]:
    """Time from request to whole answer at a fixed rate, the targets in turn within one run."""
    return uvloop.run(_latency(targets, rate, seconds))


async def _latency(targets: list[Target], rate: int, seconds: int) -> list[Spread]:
    links = [await _open(target.port) for target in targets]
    wires = [wire(target, body(target)) for target in targets]
    times: list[list[float]] = [[] for _ in targets]
    loop = asyncio.get_running_loop()
    start = loop.time()
    for index in range(rate * seconds):
        await asyncio.sleep(max(0.0, start + index / rate - loop.time()))
        # Direct and through, one right after the other: both see the machine in the same state.
        for number, (reader, writer) in enumerate(links):
            before = time.perf_counter()
            writer.write(wires[number])
            await _answer(reader)
            times[number].append(time.perf_counter() - before)
    for _, writer in links:
        writer.close()
    return [Spread.of(each[rate // 2 :]) for each in times]


@dataclass(frozen=True)
class Streams:
    """What a run of streams came to."""

    lag: Spread
    cores: float
    seconds: float
    complete: int


def streams(target: Target, *, count: int = 256, tokens: int = 200) -> Streams:
    """Many paced streams at once: how late each token reaches the client, and the processor time it took."""
    return uvloop.run(_streams(target, count, tokens))


async def _streams(target: Target, count: int, tokens: int) -> Streams:
    request = wire(target, body(target, stream=True, max_tokens=tokens))
    lags: list[float] = []
    before, start = target.cpu_seconds(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_stream(target.port, request, lags, index)) for index in range(count)]
    seconds = time.monotonic() - start
    cores = (target.cpu_seconds() - before) / seconds
    return Streams(Spread.of(lags), cores, seconds, sum(task.result() == tokens for task in tasks))


async def _stream(port: int, request: bytes, lags: list[float], index: int) -> int:
    # Spread over one token's time, as apps that know nothing of each other are.
    await asyncio.sleep(index * 0.025 / 256)
    reader, writer = await _open(port)
    writer.write(request)
    found = re.compile(rb'"content":"(\d+) "')
    rest, seen, done = b"", 0, False
    while not done and (data := await reader.read(65536)):
        now = time.monotonic_ns()
        rest += data
        done = b"[DONE]" in rest
        whole = rest.rfind(b"\n\n") + 2 if b"\n\n" in rest else 0
        for match in found.finditer(rest, 0, whole):
            lags.append((now - int(match[1])) / 1e9)
            seen += 1
        rest = rest[whole:]
    writer.close()
    return seen


async def _open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        message = f"not a 200: {head[:200]!r}"
        raise RuntimeError(message)
    at = head.find(b"content-length:")
    if at >= 0:
        await reader.readexactly(int(head[at + 15 :].split(b"\r", 1)[0]))
    else:
        while (size := int((await reader.readline()).split(b";")[0], 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readline()
