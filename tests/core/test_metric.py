"""Claims about ``core.metric``."""

from __future__ import annotations

import random

from appliance.core.metric import Histogram

BOUNDS = (0.1, 1.0, 2.5)


def test_a_value_on_a_bound_belongs_to_the_bucket_below_it() -> None:
    histogram = Histogram(BOUNDS)
    for value in (0.1, 1.0, 2.5):
        histogram.observe(value)
    assert histogram.counts == [1, 1, 1, 0]


def test_what_lies_beyond_all_bounds_counts_to_infinity_alone() -> None:
    histogram = Histogram(BOUNDS)
    histogram.observe(1e9)
    assert histogram.cumulative() == [("0.1", 0), ("1.0", 0), ("2.5", 0), ("+Inf", 1)]


def test_buckets_are_how_many_values_are_no_larger_than_their_bound() -> None:
    histogram = Histogram(BOUNDS)
    values = [random.Random(7).uniform(0, 4) for _ in range(500)] + [0.0, 0.1, 2.5]
    for value in values:
        histogram.observe(value)
    expected = [sum(value <= bound for value in values) for bound in BOUNDS]
    assert [count for _, count in histogram.cumulative()] == [*expected, len(values)]
    assert abs(histogram.total - sum(values)) < 1e-9


def test_nothing_observed_is_all_zero() -> None:
    assert Histogram(BOUNDS).cumulative() == [("0.1", 0), ("1.0", 0), ("2.5", 0), ("+Inf", 0)]
