"""What is counted of a request, and what can never make a series."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.event_stream import Usage
from appliance.gateway.app import compose
from appliance.gateway.exchange import Exchange
from appliance.gateway.families import MAX_APPS, NO_APP, OTHER_APPS
from appliance.gateway.metrics import Metrics
from appliance.gateway.operations import CHAT, ROUTES, label
from appliance.settings import Settings
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import CHAT as ASK
from tests.gateway.conftest import Gateway, start

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
    assert metrics.tokens == {"homework-app": [7, 5, 0]}
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
    assert metrics.tokens == {"homework-app": [7, 5, 0]}
    assert observed(metrics.times["interactive"].engine) == (1, 1.0)
    assert sum(metrics.gateway_time.counts) == sum(metrics.times["interactive"].request.counts) == 0


def test_tokens_from_the_prefix_cache_are_counted_as_a_part_of_the_input(metrics: Metrics) -> None:
    for cached in (0, 4):
        metrics.finished(ended(usage=Usage(7, 5, cached_tokens=cached)), BEGAN + 3)
    assert metrics.tokens == {"homework-app": [14, 10, 4]}


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


# --- a running gateway


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def read(gateway: Gateway, name: str) -> Any:
    return gateway.metrics.watched[f"appliance_{name}"]()


def shows(gateway: Gateway, name: str, wanted: Callable[[Any], bool]) -> None:
    wait_for(lambda: wanted(read(gateway, name)))


def test_stream_is_open_while_it_runs_and_its_pieces_are_timed(gateway: Gateway) -> None:
    gateway.engine.mode, gateway.engine.gap_seconds = "slow", 0.02
    times = gateway.metrics.times["interactive"]
    before = sum(times.between_tokens.counts), sum(times.first_token.counts), sum(times.engine.counts)
    with gateway.client() as client, client.stream("POST", CHAT, json={**ASK, "stream": True}) as response:
        pieces = response.iter_raw()
        next(pieces)
        assert gateway.metrics.streams_open == gateway.metrics.requests_open == 1
        assert sum(len(piece.split(b"\n\n")) for piece in pieces) > 4
    wait_for(lambda: gateway.metrics.requests_open == 0)
    assert gateway.metrics.streams_open == 0
    assert sum(times.first_token.counts) == before[1] + 1
    assert sum(times.engine.counts) == before[2] + 1
    assert sum(times.between_tokens.counts) >= before[0] + gateway.engine.tokens - 1


def test_client_that_leaves_is_counted_with_its_tokens_and_leaves_nothing_open(gateway: Gateway) -> None:
    gateway.engine.mode, gateway.engine.tokens = "slow", 100
    cancelled = gateway.metrics.cancelled.get(CHAT, 0)
    tokens = list(gateway.metrics.tokens.get("homework-app", [0, 0]))
    with gateway.client() as client, client.stream("POST", CHAT, json={**ASK, "stream": True}) as response:
        next(response.iter_raw())
    wait_for(lambda: gateway.metrics.cancelled.get(CHAT, 0) == cancelled + 1)
    assert gateway.metrics.streams_open == gateway.metrics.requests_open == 0
    after = gateway.metrics.tokens["homework-app"]
    assert after[0] == tokens[0] + 7
    assert 0 < after[1] - tokens[1] < 100


@pytest.mark.parametrize("stream", [False, True])
def test_moments_of_a_request_are_noted_in_their_order(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    ended: list[tuple[Exchange, float]] = []
    monkeypatch.setattr(gateway.metrics, "finished", lambda this, now: ended.append((this, now)))
    assert gateway.chat(stream=stream).status_code == 200
    wait_for(lambda: ended)
    ((this, now),) = ended
    gateway.metrics.requests_open -= 1
    moments = [this.started, this.engine_started, *([this.first_token] if stream else []), this.engine_ended, now]
    assert moments == sorted(set(moments))
    assert bool(this.first_token) == stream


def test_answer_that_is_not_streamed_is_timed_apart_from_the_engine(gateway: Gateway) -> None:
    gateway.engine.mode, gateway.engine.gap_seconds = "slow", 0.05
    before = gateway.metrics.times["interactive"].engine.total, gateway.metrics.gateway_time.total
    assert gateway.chat().status_code == 200
    wait_for(lambda: gateway.metrics.requests_open == 0)
    assert gateway.metrics.times["interactive"].engine.total - before[0] >= 0.05 * gateway.engine.tokens
    assert 0 < gateway.metrics.gateway_time.total - before[1] < 0.05 * gateway.engine.tokens


def test_what_is_no_request_at_all_is_counted_as_a_refusal(gateway: Gateway) -> None:
    before = gateway.metrics.refusals["headers_too_large"]
    with gateway.client(headers={"x-long": "x" * 20_000}) as client:
        assert client.get("/health/live").status_code == 431
    assert gateway.metrics.refusals["headers_too_large"] == before + 1


def test_full_queue_shows_by_class_and_its_refusals_by_their_own_reason(state_dir: Path, engine: FakeEngine) -> None:
    for gateway in start(state_dir, engine, max_running_requests=1, max_waiting_requests=1):
        gateway.wait_ready()
        engine.mode = "held"
        with ThreadPoolExecutor() as pool:
            running = pool.submit(gateway.chat)
            assert engine.wait_for_held(1)
            waiting = pool.submit(gateway.chat)
            shows(gateway, "queue_depth", lambda depth: depth[("interactive",)] == 1)
            assert read(gateway, "queue_depth")[("batch",)] == 0
            assert (read(gateway, "engine_slots"), read(gateway, "engine_slots_used")) == (1, 1)
            assert read(gateway, "queue_limit") == 1
            assert gateway.chat().status_code == 429
            assert gateway.metrics.refusals["engine_busy"] == 1
            assert gateway.metrics.refusals["rate_limit_exceeded"] == 0
            engine.finish()
            assert running.result().status_code == 200
            assert engine.wait_for_held(1)
            engine.finish()
            assert waiting.result().status_code == 200
        assert read(gateway, "queue_depth")[("interactive",)] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_engine_says_what_it_took_from_its_cache_and_the_client_hears_it_too(gateway: Gateway, stream: bool) -> None:
    before = gateway.metrics.tokens.get("homework-app", [0, 0, 0])[2]
    gateway.engine.cached_tokens = 6
    answer = gateway.chat(stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}))
    assert '"cached_tokens":6' in answer.text
    wait_for(lambda: gateway.metrics.tokens["homework-app"][2] == before + 6)


def test_price_of_electricity_is_shown_unless_it_is_switched_off(tmp_path: Path) -> None:
    for price, shown in ((141.0, [141.0]), (0, [])):
        metrics = Metrics()
        compose(Settings(state_dir=tmp_path, energy={"won_per_kwh": price}), metrics)
        watched = metrics.watched
        assert [read() for name, read in watched.items() if name == "appliance_electricity_price_won_per_kwh"] == shown


def test_state_of_the_parts_is_shown(state_dir: Path, engine: FakeEngine) -> None:
    for gateway in start(state_dir, engine):
        gateway.wait_ready()
        assert (read(gateway, "engine_ready"), read(gateway, "engine_hung")) == (True, False)
        assert read(gateway, "audit_writable")
        shows(gateway, "audit_commits_total", lambda commits: commits > 0)
        assert (read(gateway, "key_database_readable"), read(gateway, "keys_lost")) == (True, 0)
        assert read(gateway, "connections_limit") > 0
        engine.stop()
        gateway.wait_ready(ready=False)
        assert not read(gateway, "engine_ready")
        for file in state_dir.glob("keys.sqlite3*"):
            file.unlink()
        shows(gateway, "key_database_readable", lambda readable: not readable)


@given(path=st.text() | st.sampled_from(ROUTES).flatmap(lambda route: st.text().map(lambda tail: route + tail)))
def test_pysec_2026_4325_no_path_makes_a_route(path: str) -> None:
    assert label(path) in ROUTES
