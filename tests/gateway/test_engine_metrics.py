"""The engine's own metrics: passed on as they are, or a clean 503."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from appliance.errors import EngineUnavailable
from appliance.gateway import engine_metrics
from appliance.gateway.engine_metrics import EngineMetrics
from tests.fakes.engine import FakeEngine
from tests.promtool import complaints

pytestmark = pytest.mark.anyio

#: ``GET /metrics`` of vLLM 0.32.0 with the demo model after one answer.
RECORDED = Path(__file__).parents[1] / "goldens" / "vllm_metrics.txt"
OWN = (
    b"# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
    b"# TYPE vllm:num_requests_running gauge\n"
    b'vllm:num_requests_running{engine="0",model_name="fake-llama"} 3.0\n'
)
OTHER = (
    b"# HELP python_gc_objects_collected_total Objects collected during gc\n"
    b'http_requests_total{handler="/v1/completions",method="POST",status="2xx"} 5.0\n'
    b"process_resident_memory_bytes 3.0e+09\n"
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(engine: FakeEngine, clock: Clock) -> EngineMetrics:
    return EngineMetrics(engine.path, deadline_seconds=0.2, clock=clock)


async def test_vllms_own_lines_pass_as_they_are_and_no_others(engine: FakeEngine, metrics: EngineMetrics) -> None:
    engine.metrics = OTHER + OWN + OTHER
    assert await metrics.text() == OWN


async def test_what_vllm_0_32_writes_passes_whole_and_only_its_own_names_are_complained_of(
    engine: FakeEngine, metrics: EngineMetrics
) -> None:
    engine.metrics = RECORDED.read_bytes()
    text = await metrics.text()
    wanted = {
        name
        for name in re.findall(rb"^# TYPE (\S+)", engine.metrics, re.MULTILINE)
        if name.startswith(b"vllm:") and not name.endswith(b"_created")
    }
    assert len(wanted) == 39
    assert set(re.findall(rb"^# TYPE (\S+)", text, re.MULTILINE)) == wanted
    assert text.count(b"\nvllm:time_to_first_token_seconds_bucket{") > 10
    assert not re.search(rb"^(?!vllm:|# )", text.rstrip(), re.MULTILINE)
    # The colon is reserved for recording rules; dashboards know vLLM's metrics by these names all the same.
    own = {'vllm:iteration_tokens_total non-counter metrics should not have "_total" suffix'}
    assert {line for line in complaints(text) if not line.endswith("metric names should not contain ':'")} == own


async def test_last_line_without_an_end_gets_one(engine: FakeEngine, metrics: EngineMetrics) -> None:
    engine.metrics = OWN.rstrip()
    assert await metrics.text() == OWN


async def test_engine_is_asked_once_a_second_however_often_somebody_looks(
    engine: FakeEngine, metrics: EngineMetrics, clock: Clock
) -> None:
    engine.metrics = OWN
    assert [await metrics.text() for _ in range(5)] == [OWN] * 5
    assert len(engine.seen) == 1
    clock.now += 1.0
    await metrics.text()
    assert len(engine.seen) == 2


@pytest.mark.parametrize("mode", ["normal", "hangs", "dies_before_answer", "garbage", "fails", "starting"])
async def test_engine_that_gives_none_is_unavailable(engine: FakeEngine, metrics: EngineMetrics, mode: str) -> None:
    engine.mode = mode
    with pytest.raises(EngineUnavailable):
        await metrics.text()


async def test_engine_that_is_away_is_unavailable_and_back_at_the_next_look(
    engine: FakeEngine, metrics: EngineMetrics, clock: Clock
) -> None:
    engine.metrics = OWN
    engine.stop()
    for _ in range(2):
        with pytest.raises(EngineUnavailable):
            await metrics.text()
    engine.start()
    clock.now += 1.0
    assert await metrics.text() == OWN


async def test_engine_that_hangs_holds_nobody_beyond_the_deadline(engine: FakeEngine, metrics: EngineMetrics) -> None:
    engine.mode = "hangs"
    began = time.monotonic()
    with pytest.raises(EngineUnavailable):
        await metrics.text()
    assert time.monotonic() - began < 5
    assert await asyncio.to_thread(engine.wait_for_abandoned, 1), "the connection is given up"


async def test_engine_cannot_fill_the_gateways_memory(
    engine: FakeEngine, metrics: EngineMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_metrics, "MAX_BYTES", 10_000)
    engine.metrics = OWN * 10_000
    with pytest.raises(EngineUnavailable):
        await metrics.text()
