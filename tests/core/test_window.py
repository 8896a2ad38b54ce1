"""Claims about ``core.window``."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.core.window import GRAIN_SECONDS, WINDOW_SECONDS, Window

_STEPS = st.lists(st.tuples(st.floats(0, 45), st.integers(0, 5)), min_size=1, max_size=60)


@given(_STEPS, st.integers(1, 12))
def test_no_minute_ever_holds_more_than_the_limit(steps, limit) -> None:
    window, now, booked = Window(), 0.0, []
    for pause, amount in steps:
        now += pause
        window.expire(now)
        if window.total + amount <= limit:
            window.book(amount, now)
            booked.append((now, amount))
    for start, _ in booked:
        assert sum(amount for at, amount in booked if start <= at < start + WINDOW_SECONDS) <= limit


@given(_STEPS)
def test_everything_is_free_a_window_and_a_grain_after_the_last_booking(steps) -> None:
    window, now = Window(), 0.0
    for pause, amount in steps:
        now += pause
        window.expire(now)
        window.book(amount, now)
    assert window.reset_seconds(now) <= WINDOW_SECONDS + GRAIN_SECONDS + 1e-6
    window.expire(now + WINDOW_SECONDS + GRAIN_SECONDS + 1e-6)
    assert window.total == 0


@given(_STEPS, st.integers(1, 20))
def test_after_the_promised_wait_that_much_is_free(steps, wanted) -> None:
    window, now = Window(), 0.0
    for pause, amount in steps:
        now += pause
        window.expire(now)
        window.book(amount, now)
    before = window.total
    wait = window.wait_seconds(wanted, now)
    window.expire(now + wait + 1e-6)
    assert before - window.total >= wanted or before < wanted


def test_what_is_given_back_after_it_expired_changes_nothing() -> None:
    window = Window()
    entry = window.book(7, 0.0)
    window.expire(WINDOW_SECONDS + GRAIN_SECONDS + 1e-6)
    window.book(2, 100.0)
    window.give_back(entry, 7)
    assert window.total == 2


def test_memory_is_bounded_whatever_the_rate() -> None:
    window = Window()
    for step in range(200_000):
        window.expire(step / 1000)
        window.book(1, step / 1000)
    assert len(window._entries) <= (WINDOW_SECONDS + GRAIN_SECONDS) / GRAIN_SECONDS + 1
    assert window.total <= 60_200
