"""The gateway's own proof that the engine generates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from appliance.gateway import readiness
from appliance.gateway.engine_client import EngineClient
from appliance.gateway.readiness import Probe
from tests.fakes.engine import MODEL, FakeEngine

pytestmark = pytest.mark.anyio


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def probe(engine: FakeEngine, clock: Clock) -> AsyncIterator[Probe]:
    client = EngineClient(
        engine.path, connect_timeout_seconds=5.0, first_byte_timeout_seconds=5.0, idle_timeout_seconds=5.0
    )
    yield Probe(client, {"gpt-4o": ""}, interval_seconds=5.0, timeout_seconds=0.2, window_seconds=15.0, clock=clock)
    client.close()
    await asyncio.sleep(0)  # the connections end in the loop's next turn


@asynccontextmanager
async def running(probe: Probe) -> AsyncIterator[None]:
    task = asyncio.create_task(probe.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  the fake engine runs in another thread
            await asyncio.sleep(0.005)


async def test_generation_makes_ready_for_a_window(probe: Probe, clock: Clock) -> None:
    assert not probe.is_ready
    await probe.ask()
    assert probe.is_ready
    assert probe.catalogue.resolve("gpt-4o") == MODEL
    clock.now += 15.1
    assert not probe.is_ready


async def test_proof_is_a_token_not_a_status(probe: Probe, engine: FakeEngine) -> None:
    engine.tokens = 0
    await probe.ask()
    assert not probe.is_ready


@pytest.mark.parametrize(
    "mode", ["hangs", "dies_before_answer", "garbage", "garbage_body", "refuses", "fails", "starting"]
)
async def test_engine_in_trouble_is_not_ready(probe: Probe, engine: FakeEngine, mode: str) -> None:
    engine.mode = mode
    await probe.ask()
    assert not probe.is_ready


async def test_lost_engine_is_not_ready_although_the_window_lasts(probe: Probe, engine: FakeEngine) -> None:
    await probe.ask()
    engine.stop()
    await probe.ask()
    assert not probe.is_ready


async def test_busy_engine_that_lets_a_probe_wait_stays_ready_while_apps_get_tokens(
    probe: Probe, engine: FakeEngine, clock: Clock
) -> None:
    await probe.ask()
    engine.mode = "hangs"
    await probe.ask()
    assert probe.is_ready
    assert not probe.is_hung
    clock.now += 15.1
    probe.generated()
    assert probe.is_ready


async def test_hung_engine_is_known_as_such_until_it_generates(probe: Probe, engine: FakeEngine, clock: Clock) -> None:
    await probe.ask()
    clock.now += 15.1
    engine.mode = "hangs"
    await probe.ask()
    assert probe.is_hung
    probe.generated()
    assert not probe.is_hung


async def test_killed_engine_is_not_taken_for_a_hung_one(probe: Probe, engine: FakeEngine) -> None:
    engine.stop()
    await probe.ask()
    assert not probe.is_hung
    assert not probe.is_ready


async def test_doubt_is_resolved_at_once_not_after_the_interval(probe: Probe, engine: FakeEngine) -> None:
    async with running(probe):
        await until(lambda: probe.is_ready)
        asked = len(engine.seen)
        probe.lost()
        assert not probe.is_ready
        await until(lambda: probe.is_ready)
        assert len(engine.seen) > asked


async def test_service_resumes_with_the_engine(
    probe: Probe, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "RETRY_SECONDS", 0.01)
    engine.stop()
    async with running(probe):
        await asyncio.sleep(0)
        assert not probe.is_ready
        engine.start()
        await until(lambda: probe.is_ready)


async def test_traffic_saves_the_probes(probe: Probe, engine: FakeEngine) -> None:
    probe.generated()
    async with running(probe):
        await asyncio.sleep(0.05)
    assert engine.seen == []


async def test_odd_listing_does_not_stop_the_watch(
    probe: Probe, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fakes.engine._card", lambda: {"id": MODEL, "max_model_len": "many", "created": None})
    await probe.ask()
    assert probe.is_ready


async def test_engine_that_generates_for_others_only_is_ready_and_not_hung(
    probe: Probe, engine: FakeEngine, clock: Clock
) -> None:
    await probe.ask()
    engine.mode = "saturated"
    clock.now += 100
    await probe.ask()
    assert probe.is_ready
    assert not probe.is_hung


async def test_engine_whose_counters_stand_still_is_hung(probe: Probe, engine: FakeEngine, clock: Clock) -> None:
    await probe.ask()
    engine.mode = "wedged"
    clock.now += 100
    await probe.ask()
    assert not probe.is_ready
    assert probe.is_hung
