"""The watch over one run: proof of life is reported, and the verdict comes at once."""

from __future__ import annotations

import asyncio

import pytest

from appliance.core.liveness import Limits, Phase
from appliance.engine import probe
from appliance.engine.probe import ProbeFailed
from appliance.engine.watch import Watch

pytestmark = pytest.mark.anyio


class Proofs(list):
    """Proofs of life as they are reported; a test can wait for a number of them."""

    def __init__(self):
        self._more = asyncio.Event()

    def append(self, proof):
        super().append(proof)
        self._more.set()

    async def reach(self, count):
        while len(self) < count:
            self._more.clear()
            await self._more.wait()


@pytest.fixture
def watch(monkeypatch, tmp_path):
    """A watch over an engine whose answers the test scripts; with the list of proofs of life."""
    monkeypatch.setattr("appliance.engine.watch.RETRY_SECONDS", 0.01)
    monkeypatch.setattr("appliance.engine.watch.SAMPLE_SECONDS", 0.01)
    monkeypatch.setattr("appliance.engine.watch.TICK_SECONDS", 0.01)

    def make(generate, counters=None, startup_seconds=30.0, probe_seconds=30.0):
        monkeypatch.setattr(probe, "generate", generate)
        monkeypatch.setattr(probe, "counters", counters or generate)
        proofs = Proofs()
        limits = Limits(startup_seconds, probe_seconds)
        return Watch(tmp_path / "sock", "tutor", limits, 0.01, proofs.append), proofs

    return make


async def token(*_args):
    return None


async def refusal(*_args):
    raise ProbeFailed("no connection")


async def silence(*_args):
    await asyncio.Event().wait()


def never():
    return False


async def test_first_token_is_told_apart_from_the_next(watch):
    stop = asyncio.Event()
    seen, proofs = watch(token)
    asked = asyncio.create_task(seen.verdict(never, stop))
    await proofs.reach(3)
    stop.set()
    assert await asked is Phase.SERVING
    assert proofs[:3] == [True, False, False]


async def test_ended_process_is_dead_at_once_though_a_probe_waits(watch):
    seen, proofs = watch(silence)
    assert await seen.verdict(lambda: True, asyncio.Event()) is Phase.DEAD
    assert proofs == []


async def test_refusals_for_too_long_are_a_failed_start(watch):
    seen, _ = watch(refusal, startup_seconds=0.05)
    assert await seen.verdict(never, asyncio.Event()) is Phase.START_TIMED_OUT


async def test_silence_after_service_is_a_hang_though_the_metrics_answer(watch):
    answers = iter([token])

    async def once(*_args):
        await next(answers, silence)()

    async def still(*_args):
        return (1.0,)

    seen, proofs = watch(once, still, probe_seconds=0.2)
    assert await seen.verdict(never, asyncio.Event()) is Phase.HUNG
    assert proofs == [True]


async def test_moving_counters_are_proofs_of_life(watch):
    answers, values, stop = iter([token]), iter(range(1_000_000)), asyncio.Event()

    async def once(*_args):
        await next(answers, silence)()

    async def moving(*_args):
        return (float(next(values)),)

    seen, proofs = watch(once, moving, probe_seconds=0.2)
    asked = asyncio.create_task(seen.verdict(never, stop))
    await proofs.reach(40)
    stop.set()
    assert await asked is Phase.SERVING
