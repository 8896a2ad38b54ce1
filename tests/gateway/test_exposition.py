"""The text that Prometheus reads."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

import appliance
from appliance.core.event_stream import Usage
from appliance.gateway.exchange import Exchange
from appliance.gateway.exposition import Exposition
from appliance.gateway.families import FAMILIES
from appliance.gateway.metrics import Metrics
from appliance.gateway.operations import CHAT
from tests.promtool import complaints

pytestmark = pytest.mark.anyio


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def exposition(metrics: Metrics, clock: Clock) -> Exposition:
    return Exposition(metrics, clock=clock)


def answered(app: str = "homework-app") -> Exchange:
    return Exchange(
        "req-1", CHAT, "POST", 0.0,
        app=app, queue_seconds=0.25, engine_started=0.25, engine_ended=2.25, status=200, usage=Usage(7, 5, cached_tokens=4),
    )  # fmt: skip


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Values by name and label values, sorted by label name."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


async def test_counts_stand_in_the_text(metrics: Metrics, exposition: Exposition) -> None:
    metrics.finished(answered(), 2.5)
    found = samples(await exposition.text())
    assert found["appliance_requests_total", "homework-app", "200", CHAT] == 1
    assert found["appliance_tokens_total", "homework-app", "input"] == 7
    assert found["appliance_tokens_total", "homework-app", "output"] == 5
    assert found["appliance_tokens_total", "homework-app", "cached"] == 4
    assert found["appliance_queue_seconds_bucket", "interactive", "0.1"] == 0
    assert found["appliance_queue_seconds_bucket", "interactive", "0.25"] == 1
    assert found["appliance_queue_seconds_bucket", "interactive", "+Inf"] == 1
    assert found["appliance_queue_seconds_sum", "interactive"] == 0.25
    assert found["appliance_gateway_seconds_count",] == 1
    assert found["appliance_build_info", appliance.__version__] == 1
    assert found["process_resident_memory_bytes",] > 1e6


async def test_client_that_left_before_the_answer_is_code_499(metrics: Metrics, exposition: Exposition) -> None:
    metrics.finished(Exchange("req-1", CHAT, "POST", 0.0, app="a", cancelled=True), 1.0)
    found = samples(await exposition.text())
    assert found["appliance_requests_total", "a", "499", CHAT] == 1
    assert found["appliance_cancelled_total", CHAT] == 1


async def test_what_never_happened_is_zero_where_its_labels_are_known(exposition: Exposition) -> None:
    found = samples(await exposition.text())
    assert found["appliance_refusals_total", "engine_busy"] == 0
    assert found["appliance_cancelled_total", CHAT] == 0
    assert found["appliance_time_to_first_token_seconds_count", "batch"] == 0


async def test_watched_values_are_read_when_somebody_looks(
    metrics: Metrics, exposition: Exposition, clock: Clock
) -> None:
    state = {"ready": 1.0}
    metrics.watch(engine_ready=lambda: state["ready"], queue_depth=lambda: {("interactive",): 3, ("batch",): 4})
    found = samples(await exposition.text())
    assert (found["appliance_engine_ready",], found["appliance_queue_depth", "batch"]) == (1, 4)
    state["ready"] = 0.0
    clock.now += 1.0
    assert samples(await exposition.text())["appliance_engine_ready",] == 0


async def test_text_is_made_once_a_second_however_often_it_is_asked_for(
    metrics: Metrics, exposition: Exposition, clock: Clock
) -> None:
    first = await exposition.text()
    metrics.finished(answered(), 2.5)
    clock.now += 0.9
    assert await exposition.text() == first
    clock.now += 0.2
    assert await exposition.text() != first


async def test_names_of_apps_are_escaped(metrics: Metrics, exposition: Exposition) -> None:
    name = 'a"b\\c\nd'
    metrics.finished(answered(name), 2.5)
    assert samples(await exposition.text())["appliance_tokens_total", name, "input"] == 7


async def test_promtool_finds_nothing_to_complain_of(metrics: Metrics, exposition: Exposition) -> None:
    metrics.finished(answered(), 2.5)
    metrics.watch(
        **{
            family.name.removeprefix("appliance_"): (lambda labels=family.labels: dict.fromkeys([labels], 1.0))
            for family in FAMILIES
            if family.name.startswith("appliance_") and family.kind == "gauge" and family.labels != ("version",)
        }
    )
    assert complaints(await exposition.text()) == []
