"""The verdict about an engine from what was seen of it."""

from __future__ import annotations

from appliance.core.liveness import Limits, Liveness, Phase

LIMITS = Limits(startup_seconds=900.0, probe_seconds=10.0)


def serving(at=100.0):
    return Liveness(started_at=0.0).probe_started(at).probe_succeeded(at)


def test_engine_without_a_token_yet_is_starting():
    assert Liveness(started_at=0.0).probe_started(5.0).phase(899.0, LIMITS) is Phase.STARTING


def test_engine_that_never_gives_a_token_times_out():
    assert Liveness(started_at=0.0).phase(900.0, LIMITS) is Phase.START_TIMED_OUT


def test_first_token_makes_it_serve_for_good_until_asked_again():
    assert serving(at=100.0).phase(10_000.0, LIMITS) is Phase.SERVING


def test_unanswered_probe_is_a_hang_after_the_limit_and_not_before():
    asked = serving(at=100.0).probe_started(105.0)
    assert asked.phase(114.9, LIMITS) is Phase.SERVING
    assert asked.phase(115.0, LIMITS) is Phase.HUNG


def test_failed_probes_in_a_row_count_from_the_first():
    asked = serving(at=100.0).probe_started(105.0).probe_started(109.0).probe_started(113.0)
    assert asked.phase(115.0, LIMITS) is Phase.HUNG


def test_busy_engine_whose_counters_move_is_not_hung():
    busy = serving(at=100.0).probe_started(105.0)
    for second in range(106, 300):
        busy = busy.sampled(float(second), (float(second), 0.0))
        assert busy.phase(float(second), LIMITS) is Phase.SERVING


def test_engine_whose_counters_stop_is_hung_after_the_limit():
    busy = serving(at=100.0).probe_started(105.0)
    for second, value in ((106, 1.0), (107, 2.0), (108, 2.0), (116, 2.0)):
        busy = busy.sampled(float(second), (value,))
    assert busy.phase(116.9, LIMITS) is Phase.SERVING
    assert busy.phase(117.0, LIMITS) is Phase.HUNG


def test_what_moved_before_the_wait_is_no_proof_of_life_now():
    earlier = serving(at=100.0).sampled(101.0, (1.0,))
    asked = earlier.probe_started(105.0).sampled(106.0, (2.0,))
    assert asked.phase(115.0, LIMITS) is Phase.HUNG


def test_token_after_a_long_wait_clears_it():
    late = serving(at=100.0).probe_started(105.0).probe_succeeded(114.0)
    assert late.phase(500.0, LIMITS) is Phase.SERVING
    assert late.probe_started(500.0).phase(509.0, LIMITS) is Phase.SERVING


def test_ended_process_is_dead_in_every_state():
    for seen in (Liveness(started_at=0.0), serving(), serving().probe_started(105.0)):
        assert seen.ended().phase(106.0, LIMITS) is Phase.DEAD


def test_verdicts_that_end_a_run_are_hung_dead_and_timed_out():
    assert {phase for phase in Phase if phase.is_over} == {Phase.HUNG, Phase.DEAD, Phase.START_TIMED_OUT}


def test_time_served_counts_from_the_first_token():
    assert Liveness(started_at=0.0).served_seconds(50.0) == 0.0
    assert serving(at=100.0).probe_succeeded(120.0).served_seconds(130.0) == 30.0


def test_hang_right_after_a_good_probe_is_noticed_within_fifteen_seconds_by_default():
    from appliance.settings import EngineSettings

    defaults = EngineSettings()
    limits = Limits(defaults.startup_timeout_seconds, defaults.probe_timeout_seconds)
    asked = serving(at=100.0).probe_started(100.0 + defaults.probe_interval_seconds)
    assert asked.phase(114.5, limits) is Phase.HUNG
