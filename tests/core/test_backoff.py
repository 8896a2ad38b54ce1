"""The wait before a restart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.core.backoff import Backoff


def after(failures, served_seconds=0.0):
    backoff = Backoff(first_seconds=1.0, max_seconds=60.0)
    for _ in range(failures):
        backoff = backoff.after_failure(served_seconds)
    return backoff.delay_seconds


def test_wait_doubles_from_the_first_up_to_the_longest():
    assert [after(n) for n in range(9)] == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_long_good_run_starts_the_count_anew():
    assert after(20, served_seconds=61.0) == 1.0


def test_short_run_that_served_still_counts_as_failure():
    assert after(3, served_seconds=5.0) == 4.0


@given(st.integers(min_value=0, max_value=100_000))
def test_wait_never_exceeds_the_longest_however_often_it_fails(failures):
    assert Backoff(0.5, 30.0, failures).delay_seconds <= 30.0
