"""What is booked where."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.core.audit_chain import Record
from appliance.core.usage import HOUR_SECONDS, Place, Tally, fold, group

NOON = 1_767_268_800  # 2026-01-01T12:00Z


def closed(**fields: object) -> Record:
    usual = {"kind": "close", "at_ms": NOON * 1000, "request_id": "r", "app": "homework", "method": "POST"}
    return Record(**{**usual, "model": "llama", "outcome": "answered", "tokens_from": "engine", **fields})  # type: ignore[arg-type]


def test_ended_requests_are_booked_by_hour_app_and_model() -> None:
    booked = fold(
        [
            closed(input_tokens=10, output_tokens=5, queue_ms=3, generation_ms=40),
            closed(input_tokens=1, output_tokens=2),
            closed(app="quiz"),
            closed(at_ms=(NOON + HOUR_SECONDS) * 1000 - 1),
            closed(at_ms=(NOON + HOUR_SECONDS) * 1000),
        ]
    )
    assert booked == {
        Place(NOON, "homework", "llama"): Tally(3, 0, 0, 0, 11, 7, 3, 40),
        Place(NOON, "quiz", "llama"): Tally(1),
        Place(NOON + HOUR_SECONDS, "homework", "llama"): Tally(1),
    }


def test_opened_requests_strangers_listings_and_events_use_nothing() -> None:
    others = [closed(kind="open"), closed(app=""), closed(method="GET"), closed(kind="event")]
    assert fold(others) == {}


def test_ends_are_told_apart() -> None:
    (tally,) = fold(
        [
            closed(outcome="refused", kind="whole", times=3),
            closed(outcome="failed", tokens_from=""),
            closed(outcome="interrupted", tokens_from=""),
            closed(outcome="cancelled", output_tokens=4),
            closed(outcome="cancelled", tokens_from=""),
        ]
    ).values()
    assert (tally.requests, tally.errors, tally.cancelled, tally.unmeasured) == (7, 5, 2, 2)
    assert tally.output_tokens == 4


def test_groups_are_sums_in_order_with_seconds() -> None:
    booked = {
        Place(NOON, "quiz", "llama"): Tally(1, output_tokens=5, queue_ms=1500),
        Place(NOON, "homework", "llama"): Tally(2, output_tokens=1),
        Place(NOON + HOUR_SECONDS, "homework", "small"): Tally(4, generation_ms=250),
    }
    by_app = group(booked, ["app"])
    assert [(row["app"], row["requests"]) for row in by_app] == [("homework", 6), ("quiz", 1)]
    assert (by_app[1]["queue_seconds"], by_app[0]["generation_seconds"]) == (1.5, 0.25)
    assert [row["hour"] for row in group(booked, ["hour"])] == ["2026-01-01T12:00Z", "2026-01-01T13:00Z"]
    assert group(booked, ["day"])[0]["day"] == "2026-01-01"
    assert group(booked, [])[0]["requests"] == 7


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.integers(0, 1000)), max_size=30), st.integers(0, 30)
)
def test_booking_in_parts_gives_the_same_as_booking_at_once(items: list[tuple[str, int, int]], cut: int) -> None:
    records = [closed(app=app, at_ms=(NOON + hour * HOUR_SECONDS) * 1000, output_tokens=n) for app, hour, n in items]
    parts = fold(records[:cut])
    for place, tally in fold(records[cut:]).items():
        parts.setdefault(place, Tally()).add(tally)
    assert parts == fold(records)
