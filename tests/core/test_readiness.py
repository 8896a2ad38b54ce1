"""Ready means that tokens came lately."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.core.readiness import Readiness

TIMES = st.floats(0, 1e9)


def test_nothing_is_ready_before_the_first_generation() -> None:
    readiness = Readiness(15.0)
    assert not readiness.is_ready(0.0)
    assert readiness.probe_due(0.0, 5.0)


@given(TIMES, st.floats(0, 30))
def test_generation_counts_for_its_window_and_no_longer(at: float, later: float) -> None:
    readiness = Readiness(15.0)
    readiness.generated(at)
    assert readiness.is_ready(at + later) == ((at + later) - at <= 15.0)


@given(TIMES)
def test_lost_engine_is_not_ready_whatever_came_before(at: float) -> None:
    readiness = Readiness(15.0)
    readiness.generated(at)
    readiness.lost()
    assert not readiness.is_ready(at)
    assert readiness.probe_due(at, 5.0)


def test_traffic_saves_the_probe() -> None:
    readiness = Readiness(15.0)
    readiness.generated(10.0)
    assert not readiness.probe_due(14.0, 5.0)
    assert readiness.probe_due(15.0, 5.0)
