"""The time a contender adds to a request: the engine directly and through it, side by side."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import uvloop

from tests.bench import chat, client
from tests.bench.processes import Failed, Target

RATE, SECONDS = 100, 10


@dataclass(frozen=True)
class Added:
    """Times in milliseconds.

    Args:
        median: through the contender less directly, of the medians.
        p99: the same of the 99th percentiles.
        direct_median: the engine's own.
        direct_p99: the engine's own.
    """

    median: float
    p99: float
    direct_median: float
    direct_p99: float


def measure(engine: Target, target: Target, model: str, *, rate: int = RATE, seconds: int = SECONDS) -> Added:
    """So many whole answers a second through the target, as many directly, each half a beat after the other.

    Raises:
        Failed: an answer was no 200, or a connection broke.
    """
    try:
        return uvloop.run(_measure((engine, target), model, rate, seconds))
    except* OSError as err:
        raise Failed(f"{target.name}: {first(err)}") from None


async def _measure(pair: tuple[Target, Target], model: str, rate: int, seconds: int) -> Added:
    payload = chat.body(model, max_tokens=2)  # 50 ms of the paced model
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_ask_at_rate(target, payload, rate, seconds, half / 2 / rate))
            for half, target in enumerate(pair)
        ]
    direct, through = (task.result() for task in tasks)
    return Added(
        percentile(through, 0.5) - percentile(direct, 0.5),
        percentile(through, 0.99) - percentile(direct, 0.99),
        percentile(direct, 0.5),
        percentile(direct, 0.99),
    )


async def _ask_at_rate(target: Target, payload: bytes, rate: int, seconds: int, offset_seconds: float) -> list[float]:
    """Milliseconds of every answer. Whether the one before is back does not matter: there are more connections."""
    request = chat.wire(target, payload)
    idle: list[client.Connection] = []
    opened: list[client.Connection] = []
    milliseconds: list[float] = []

    async def ask() -> None:
        if not idle:
            opened.append(await client.connect(target.port))
            idle.append(opened[-1])
        connection = idle.pop()
        begun = time.perf_counter()
        await connection.ask(request)
        milliseconds.append((time.perf_counter() - begun) * 1000)
        idle.append(connection)

    try:
        for _ in range(3):
            await ask()
        milliseconds.clear()
        loop = asyncio.get_running_loop()
        start = loop.time() + offset_seconds
        async with asyncio.TaskGroup() as group:
            for index in range(rate * seconds):
                await asyncio.sleep(max(0.0, start + index / rate - loop.time()))
                group.create_task(ask())
    finally:
        for connection in opened:
            connection.transport.close()
    return milliseconds


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group, however deep."""
    found = group.exceptions[0]
    return first(found) if isinstance(found, BaseExceptionGroup) else found


def percentile(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
