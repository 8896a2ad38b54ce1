"""The gateway in front of an engine with fewer slots than there are requests."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from appliance.core.admission import State
from appliance.errors import EngineBusy, EngineUnavailable
from appliance.gateway.admission import USUAL_SLOTS, Admission
from appliance.gateway.caller import Caller
from appliance.gateway.engine_client import Abandoned
from appliance.gateway.exchange import Exchange
from appliance.gateway.relay import Relay
from appliance.settings import GatewaySettings
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import CHAT, Gateway, start

NOON = time.struct_time((2026, 3, 2, 12, 0, 0, 0, 61, 0))
NIGHT = time.struct_time((2026, 3, 2, 2, 0, 0, 0, 61, 0))
SLOTS = 4
#: A held engine must not look hung, and its slowness is the test's.
PATIENT = {
    "body_timeout_seconds": 30,
    "engine_first_byte_timeout_seconds": 60.0,
    "ready_window_seconds": 60.0,
    "probe_timeout_seconds": 5.0,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def admission(
    hung: bool = False, local: time.struct_time = NOON, path: Path = Path("/nonexistent"), **settings: Any
) -> Admission:
    fields = {"max_running_requests": 1, **settings}
    return Admission(GatewaySettings(**fields), path, is_hung=lambda: hung, local_time=lambda: local)


async def settled(waiting: Admission, count: int) -> None:
    async with asyncio.timeout(5):
        while waiting.waiting != count:  # noqa: ASYNC110  the code under test has no event for it
            await asyncio.sleep(0)


# --- The waiting itself


@pytest.mark.anyio
async def test_free_slot_is_given_without_a_turn_of_the_loop() -> None:
    gate = admission()
    with pytest.raises(StopIteration) as done:
        gate.enter("a", "interactive", 1, 100, Caller()).send(None)
    assert done.value.value.state is State.ADMITTED


@pytest.mark.anyio
async def test_freed_slot_goes_to_who_waits() -> None:
    gate = admission()
    first = await gate.enter("a", "interactive", 1, 0, Caller())
    second = asyncio.create_task(gate.enter("a", "interactive", 1, 0, Caller()))
    await settled(gate, 1)
    gate.leave(first, served=True)
    assert (await second).state is State.ADMITTED
    assert (gate.running, gate.waiting) == (1, 0)


@pytest.mark.anyio
async def test_client_that_leaves_while_waiting_frees_its_place() -> None:
    gate = admission()
    await gate.enter("a", "interactive", 1, 0, Caller())
    gone = Caller()
    second = asyncio.create_task(gate.enter("a", "interactive", 1, 0, gone))
    await settled(gate, 1)
    gone.leave()
    with pytest.raises(Abandoned):
        await asyncio.wait_for(second, 5)
    assert (gate.running, gate.waiting) == (1, 0)


@pytest.mark.anyio
async def test_slot_that_comes_together_with_the_clients_leaving_is_not_lost() -> None:
    gate = admission()
    first = await gate.enter("a", "interactive", 1, 0, Caller())
    gone = Caller()
    second = asyncio.create_task(gate.enter("a", "interactive", 1, 0, gone))
    await settled(gate, 1)
    gate.leave(first, served=True)
    gone.leave()
    with pytest.raises(Abandoned):
        await second
    assert (gate.running, gate.waiting) == (0, 0)


@pytest.mark.anyio
async def test_cancelled_request_gives_its_place_back() -> None:
    gate = admission()
    await gate.enter("a", "interactive", 1, 0, Caller())
    second = asyncio.create_task(gate.enter("a", "interactive", 1, 0, Caller()))
    await settled(gate, 1)
    second.cancel()
    await asyncio.wait([second])
    assert (gate.running, gate.waiting) == (1, 0)


@pytest.mark.anyio
async def test_deadline_is_429_with_the_time_to_come_back() -> None:
    gate = admission(queue_deadline_seconds=0.01)
    await gate.enter("a", "interactive", 1, 0, Caller())
    with pytest.raises(EngineBusy) as caught:
        await gate.enter("a", "interactive", 1, 0, Caller())
    headers = caught.value.headers
    assert headers["x-should-retry"] == "true"
    assert 0 < int(headers["retry-after-ms"]) <= 60_000
    assert int(headers["retry-after"]) * 1000 >= int(headers["retry-after-ms"])


@pytest.mark.anyio
async def test_who_waits_for_a_hung_engine_is_told_that_it_is_not_there() -> None:
    hung: list[int] = []
    gate = Admission(GatewaySettings(max_running_requests=1), Path("/nonexistent"), is_hung=lambda: bool(hung))
    await gate.enter("a", "interactive", 1, 0, Caller())
    second = asyncio.create_task(gate.enter("a", "interactive", 1, 0, Caller()))
    await settled(gate, 1)
    hung.append(1)
    with pytest.raises(EngineUnavailable):
        await second
    assert gate.waiting == 0


@pytest.mark.anyio
@pytest.mark.parametrize(("local", "held"), [(NOON, 2), (NIGHT, 8)])
async def test_batch_is_held_to_its_share_by_day_and_fills_the_box_at_night(local: time.struct_time, held: int) -> None:
    gate = admission(local=local, max_running_requests=8)
    jobs = [asyncio.create_task(gate.enter("nightly", "batch", 1, 0, Caller())) for _ in range(20)]
    await settled(gate, 20 - held)
    assert gate.running == held
    for job in jobs:
        job.cancel()
    await asyncio.wait(jobs)


def test_slots_follow_what_the_engine_says_it_generates_at_once(tmp_path: Path) -> None:
    note = tmp_path / "engine.sock.sequences"
    gate = admission(path=note, max_running_requests=None)
    assert gate.slots == USUAL_SLOTS
    for text, slots in [("16\n", 18), ("1\n", 2), ("256\n", 288), ("nonsense", USUAL_SLOTS)]:
        note.write_text(text)
        gate.engine_started()
        assert gate.slots == slots


def test_set_number_of_slots_stands_whatever_the_engine_says(tmp_path: Path) -> None:
    note = tmp_path / "engine.sock.sequences"
    note.write_text("16\n")
    gate = admission(path=note, max_running_requests=5)
    gate.engine_started()
    assert gate.slots == 5


# --- The whole gateway


@pytest.fixture
def narrow(state_dir: Path, engine: FakeEngine) -> Iterator[Gateway]:
    """A gateway that gives its engine four requests at once, each until the test finishes it."""
    limits = {"max_running_requests": SLOTS, "max_waiting_requests": 400, "max_waiting_requests_per_app": 200}
    for gateway in start(state_dir, engine, **PATIENT, **limits):
        gateway.wait_ready()
        engine.mode = "held"
        yield gateway
        engine.mode = "normal"
        engine.finish(10_000)


def asked(gateway: Gateway, text: str, key: str) -> socket.socket:
    """A request on a connection of its own, sent and not waited for."""
    body = json.dumps({**CHAT, "messages": [{"role": "user", "content": text}]}).encode()
    raw = socket.create_connection(("127.0.0.1", gateway.port))
    raw.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n"
        + f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return raw


def arrived(gateway: Gateway) -> None:
    """What was sent before this has been taken: later requests have been answered."""
    with gateway.client() as client:
        for _ in range(20):
            client.get("/health/live")


def answer(raw: socket.socket) -> bytes:
    raw.settimeout(20)
    with raw:
        return b"".join(iter(lambda: raw.recv(65_536), b""))


def texts(engine: FakeEngine) -> list[str]:
    return [seen.json["messages"][0]["content"] for seen in engine.generations()]


def test_question_beside_another_apps_batch_of_200_is_next(narrow: Gateway) -> None:
    _, other = narrow.store.create("other-app", now=time.time())
    batch = [asked(narrow, "batch", narrow.key) for _ in range(200)]
    assert narrow.engine.wait_for_held(SLOTS)
    arrived(narrow)
    question = asked(narrow, "question", other)
    arrived(narrow)
    narrow.engine.finish(1)
    assert narrow.engine.wait_for_generations(SLOTS + 1)
    assert texts(narrow.engine) == ["batch"] * SLOTS + ["question"]
    narrow.engine.mode = "normal"
    narrow.engine.finish(SLOTS)
    assert answer(question).startswith(b"HTTP/1.1 200")
    assert Counter(answer(raw)[:12] for raw in batch) == {b"HTTP/1.1 200": 200}


def test_client_that_leaves_the_queue_never_reaches_the_engine(narrow: Gateway) -> None:
    running = [asked(narrow, "first", narrow.key) for _ in range(SLOTS)]
    assert narrow.engine.wait_for_held(SLOTS)
    asked(narrow, "impatient", narrow.key).close()
    patient = asked(narrow, "patient", narrow.key)
    arrived(narrow)
    narrow.engine.mode = "normal"
    narrow.engine.finish(SLOTS)
    assert answer(patient).startswith(b"HTTP/1.1 200")
    assert {answer(raw)[:12] for raw in running} == {b"HTTP/1.1 200"}
    assert "impatient" not in texts(narrow.engine)


@pytest.mark.parametrize("stream", [False, True])
def test_slot_is_free_again_however_a_request_ends(state_dir: Path, engine: FakeEngine, stream: bool) -> None:
    for gateway in start(state_dir, engine, max_running_requests=1, queue_deadline_seconds=5):
        gateway.wait_ready()
        for mode in ("normal", "dies_before_answer", "dies_in_stream", "fails", "refuses", "garbage_body"):
            engine.mode = mode
            gateway.chat(stream=stream)
        engine.mode = "normal"
        gateway.wait_ready()
        assert gateway.chat().status_code == 200


def test_slot_of_a_client_that_left_is_free_again(state_dir: Path, engine: FakeEngine) -> None:
    for gateway in start(state_dir, engine, **PATIENT, max_running_requests=1, queue_deadline_seconds=5):
        gateway.wait_ready()
        engine.mode = "held"
        running = asked(gateway, "first", gateway.key)
        assert engine.wait_for_held(1)
        engine.mode = "normal"
        running.close()
        assert gateway.chat().status_code == 200
        assert engine.abandoned == 1


def test_exchange_knows_how_long_it_waited(narrow: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Exchange] = []
    relay = Relay.__call__

    async def noting(self: Relay, path: str, request: Any, this: Exchange, *rest: Any) -> None:
        seen.append(this)
        await relay(self, path, request, this, *rest)

    monkeypatch.setattr(Relay, "__call__", noting)
    running = [asked(narrow, "first", narrow.key) for _ in range(SLOTS)]
    assert narrow.engine.wait_for_held(SLOTS)
    last = asked(narrow, "last", narrow.key)
    arrived(narrow)
    narrow.engine.mode = "normal"
    narrow.engine.finish(SLOTS)
    assert {answer(raw)[:12] for raw in [*running, last]} == {b"HTTP/1.1 200"}
    assert seen[-1].queue_seconds > max(this.queue_seconds for this in seen[:-1]) >= 0


def test_request_beyond_the_queue_is_429_in_the_form_that_sdks_heed(state_dir: Path, engine: FakeEngine) -> None:
    for gateway in start(state_dir, engine, **PATIENT, max_running_requests=1, max_waiting_requests_per_app=0):
        gateway.wait_ready()
        engine.mode = "held"
        running = asked(gateway, "first", gateway.key)
        assert engine.wait_for_held(1)
        refused = gateway.chat()
        engine.finish(1)
        assert answer(running).startswith(b"HTTP/1.1 200")
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert refused.headers["x-should-retry"] == "true"
        assert int(refused.headers["retry-after-ms"]) > 0


def test_probe_of_the_gateway_needs_no_slot(narrow: Gateway) -> None:
    running = [asked(narrow, "long", narrow.key) for _ in range(SLOTS)]
    assert narrow.engine.wait_for_held(SLOTS)
    probes = [seen for seen in narrow.engine.seen if seen.method == "POST"]
    deadline = time.monotonic() + 5
    while len([seen for seen in narrow.engine.seen if seen.method == "POST"]) <= len(probes):
        assert time.monotonic() < deadline, "no probe came while all slots were taken"
        time.sleep(0.01)
    narrow.engine.finish(SLOTS)
    assert {answer(raw)[:12] for raw in running} == {b"HTTP/1.1 200"}


class Crowd:
    """Clients that ask without end and come back when they are told to, in a loop of their own."""

    def __init__(self, gateway: Gateway, clients: int) -> None:
        self.gateway = gateway
        self.clients = clients
        self.statuses: Counter[int] = Counter()
        self.dishonest: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.gateway.engine.mode = "normal"
        self.gateway.engine.finish(10_000)
        self._thread.join(30)

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=self.clients)
        async with httpx.AsyncClient(
            base_url=self.gateway.url, headers=self.gateway.headers, timeout=60, limits=limits
        ) as client:
            await asyncio.gather(*(self._ask(client) for _ in range(self.clients)))

    async def _ask(self, client: httpx.AsyncClient) -> None:
        while not self._stop.is_set():
            response = await client.post("/v1/chat/completions", json=CHAT)
            self.statuses[response.status_code] += 1
            if response.status_code == 429:
                wait = int(response.headers["retry-after-ms"]) / 1000
                if not 0 < wait <= 60 or response.headers["x-should-retry"] != "true":
                    self.dishonest.append(str(response.headers))
                await asyncio.sleep(min(wait, 0.5))


def test_overload_of_ten_times_the_capacity_leaves_the_engine_full(state_dir: Path, engine: FakeEngine) -> None:
    """Goodput in requests: of the slots of each of the engine's rounds at least nine in ten are used."""
    slots, rounds = 8, 40
    limits = {"max_running_requests": slots, "max_waiting_requests": 16, "max_waiting_requests_per_app": 16}
    for gateway in start(state_dir, engine, **PATIENT, **limits):
        gateway.wait_ready()
        engine.mode = "held"
        with Crowd(gateway, 10 * slots) as crowd:
            used = 0
            for _ in range(rounds):
                engine.wait_for_held(slots, 3.0)
                assert len(engine.held) <= slots
                used += len(engine.held)
                engine.finish(slots)
        assert used >= 0.9 * slots * rounds
        assert set(crowd.statuses) == {200, 429}
        assert crowd.statuses[429] > slots
        assert crowd.dishonest == []
        assert gateway.chat().status_code == 200
