"""Many paced streams at once: how late each token reaches its client, and the processor time that takes."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass

import uvloop

from tests.bench import chat, client
from tests.bench.engine import PACED_MODEL, TOKENS_A_SECOND
from tests.bench.latency import first, percentile
from tests.bench.processes import Failed, Target

STREAMS, TOKENS = 256, 200
#: The streams begin one after another over this time, or within one token's.
SPREAD_SECONDS, BURST_SECONDS = 1.0, 1 / TOKENS_A_SECOND
_TOKEN = re.compile(rb'"content": ?"(\d+) "')


@dataclass(frozen=True)
class Streams:
    """What a run of streams came to; times in milliseconds.

    Args:
        lag_median: from the engine's write to the client's read.
        lag_p99: the same.
        late: share of the tokens that came later than the next was due.
        cores: share of a core the target used while all ran.
        load_cores: what the client itself used of one: near one, it would be what was measured.
        seconds: how long it took.
        complete: streams that brought every token.
    """

    lag_median: float
    lag_p99: float
    late: float
    cores: float
    load_cores: float
    seconds: float
    complete: int


def measure(target: Target, *, spread_seconds: float = SPREAD_SECONDS) -> Streams:
    """Run that many streams at once, each at 40 tokens a second, begun over a time.

    Raises:
        Failed: an answer was no 200, or a connection broke.
    """
    try:
        return uvloop.run(_measure(target, spread_seconds))
    except* OSError as err:
        raise Failed(f"{target.name}: {first(err)}") from None


async def _measure(target: Target, spread_seconds: float) -> Streams:
    request = chat.wire(target, chat.body(PACED_MODEL, stream=True, max_tokens=TOKENS))
    lags: list[float] = []
    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_stream(target.port, request, lags, index / STREAMS * spread_seconds))
            for index in range(STREAMS)
        ]
        # While all of them run: from the last one's first token to the first one's last.
        await asyncio.sleep(spread_seconds + 0.1)
        cpu, own, begun = target.cpu_seconds(), time.process_time(), time.monotonic()
        await asyncio.sleep(TOKENS / TOKENS_A_SECOND - spread_seconds - 0.2)
        spent, window = target.cpu_seconds() - cpu, time.monotonic() - begun
        load = time.process_time() - own
    return Streams(
        lag_median=percentile(lags, 0.5),
        lag_p99=percentile(lags, 0.99),
        late=sum(lag > 1000 / TOKENS_A_SECOND for lag in lags) / len(lags),
        cores=spent / window,
        load_cores=load / window,
        seconds=time.monotonic() - start,
        complete=sum(task.result() == TOKENS for task in tasks),
    )


async def _stream(port: int, request: bytes, lags: list[float], delay_seconds: float) -> int:
    """The number of tokens that came."""
    await asyncio.sleep(delay_seconds)
    connection = await client.connect(port)
    seen, rest = 0, b""

    def read(data: bytes) -> None:
        nonlocal seen, rest
        now = time.monotonic_ns()
        if rest:
            data = rest + data
        end = 0
        for match in _TOKEN.finditer(data):
            lags.append((now - int(match[1])) / 1e6)
            seen += 1
            end = match.end()
        # What may be the beginning of a token that the next piece completes.
        rest = data[max(end, len(data) - 64) :]

    connection.on_data = read
    await connection.ask(request)
    connection.transport.close()
    return seen
