"""What is counted of a request, and what can never make a series."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.event_stream import Usage
from appliance.gateway.exchange import Exchange
from appliance.gateway.families import MAX_APPS, NO_APP, OTHER_APPS
from appliance.gateway.metrics import Metrics
from appliance.gateway.operations import CHAT, ROUTES, label

BEGAN = 1000.0


def ended(**fields: Any) -> Exchange:
    """A request that went to the engine after 0.25 s of waiting and took it 2 s."""
    usual = {
        "app": "homework-app",
        "queue_seconds": 0.25,
        "engine_started": BEGAN + 0.251,
        "engine_ended": BEGAN + 2.251,
        "status": 200,
        "usage": Usage(7, 5),
    }
    return Exchange("req-1", CHAT, "POST", BEGAN, **{**usual, **fields})


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def observed(histogram: Any) -> tuple[int, float]:
    return sum(histogram.counts), pytest.approx(histogram.total)


def test_answered_request_is_counted_in_every_time(metrics: Metrics) -> None:
    metrics.finished(ended(), BEGAN + 2.253)
    assert metrics.requests == {(CHAT, 200, "homework-app"): 1}
    assert metrics.tokens == {"homework-app": [7, 5]}
    times = metrics.times["interactive"]
    assert observed(times.queue) == (1, 0.25)
    assert observed(times.engine) == (1, 2.0)
    assert observed(times.request) == (1, 2.253)
    assert observed(metrics.gateway_time) == (1, 0.003)
    assert observed(times.first_token) == (0, 0.0)
    assert sum(metrics.refusals.values()) == 0


def test_stream_has_a_time_to_its_first_token(metrics: Metrics) -> None:
    metrics.finished(ended(stream=True, first_token=BEGAN + 0.9), BEGAN + 3)
    assert observed(metrics.times["interactive"].first_token) == (1, 0.9)


def test_classes_are_counted_apart(metrics: Metrics) -> None:
    metrics.finished(ended(priority="batch"), BEGAN + 3)
    assert sum(metrics.times["batch"].request.counts) == 1
    assert sum(metrics.times["interactive"].request.counts) == 0


def test_cancelled_stream_counts_its_tokens_and_no_answer_time(metrics: Metrics) -> None:
    metrics.finished(ended(cancelled=True, engine_ended=0.0), BEGAN + 1.251)
    assert metrics.cancelled == {CHAT: 1}
    assert metrics.tokens == {"homework-app": [7, 5]}
    assert observed(metrics.times["interactive"].engine) == (1, 1.0)
    assert sum(metrics.gateway_time.counts) == sum(metrics.times["interactive"].request.counts) == 0


def test_refusal_of_a_key_touches_no_time(metrics: Metrics) -> None:
    refused = Exchange("req-1", CHAT, "POST", BEGAN, app="a", status=429, error="rate_limit_exceeded")
    metrics.finished(refused, BEGAN + 1)
    assert (metrics.refusals["rate_limit_exceeded"], metrics.refusals["engine_busy"]) == (1, 0)
    assert all(sum(times.queue.counts) == 0 for times in metrics.times.values())
    assert metrics.tokens == {}


def test_refusal_of_the_queue_is_told_apart_and_its_wait_counts(metrics: Metrics) -> None:
    metrics.finished(
        ended(status=429, error="rate_limit_exceeded", engine_started=0.0, engine_ended=0.0, usage=None), BEGAN + 1
    )
    assert (metrics.refusals["rate_limit_exceeded"], metrics.refusals["engine_busy"]) == (0, 1)
    assert sum(metrics.times["interactive"].queue.counts) == 1
    assert sum(metrics.times["interactive"].engine.counts) == 0


def test_request_without_a_key_belongs_to_no_app(metrics: Metrics) -> None:
    metrics.finished(Exchange("req-1", CHAT, "POST", BEGAN, status=401, error="missing_api_key"), BEGAN)
    assert metrics.requests == {(CHAT, 401, NO_APP): 1}


def test_apps_beyond_the_cap_share_one_series_and_take_no_memory(metrics: Metrics) -> None:
    for number in range(MAX_APPS * 3):
        metrics.finished(ended(app=f"app-{number}"), BEGAN + 3)
    assert len(metrics.requests) == len(metrics.tokens) == MAX_APPS + 1
    assert metrics.requests[CHAT, 200, OTHER_APPS] == MAX_APPS * 2
    assert len(metrics._apps) == MAX_APPS + 3
    assert metrics.requests[CHAT, 200, "app-0"] == 1


def test_error_that_is_in_no_table_makes_no_series(metrics: Metrics) -> None:
    before = set(metrics.refusals)
    metrics.finished(ended(status=500, error="secret-of-a-pupil"), BEGAN + 3)
    assert set(metrics.refusals) == before
    assert metrics.refusals["internal_error"] == 1


def test_only_families_of_the_table_can_be_watched(metrics: Metrics) -> None:
    metrics.watch(engine_ready=lambda: 1)
    with pytest.raises(KeyError):
        metrics.watch(secret_of_a_pupil=lambda: 1)
    assert list(metrics.watched) == ["appliance_engine_ready"]


@given(path=st.text() | st.sampled_from(ROUTES).flatmap(lambda route: st.text().map(lambda tail: route + tail)))
def test_pysec_2026_4325_no_path_makes_a_route(path: str) -> None:
    assert label(path) in ROUTES
