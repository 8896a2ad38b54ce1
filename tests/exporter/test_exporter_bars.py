"""What a scrape asks of the driver. The clock's part of the bars is measured by ``tests/bench/exporter.py``."""

from __future__ import annotations

#: Bar: 50 ms a scrape. This is the part of it that NVML took on the real H100.
BAR_MICROSECONDS = 50_000
#: Recorded one by one and asked for together: nvmlDeviceGetFieldValues has no time of its own in the recording.
FIELD_CALLS = 8


def taken(made):
    made.driver.calls.clear()
    made.survey.read()
    calls = list(made.driver.calls)
    made.survey.measure()
    return calls


def test_the_first_scrape_asks_everything_within_the_bar(rig):
    assert sum(microseconds for _, microseconds in taken(rig())) <= BAR_MICROSECONDS


def test_a_scrape_within_the_minute_asks_only_for_what_changes(rig):
    made = rig()
    first, second = taken(made), taken(made)
    assert len(second) < len(first) * 2 / 3
    assert sum(microseconds for _, microseconds in second) <= BAR_MICROSECONDS / 2


def test_nothing_is_asked_twice_in_a_scrape(rig):
    names = [name for name, _ in taken(rig())]
    assert len(names) == len(set(names))


def test_field_values_are_asked_for_together(rig):
    assert len([name for name, _ in taken(rig()) if "FieldValues" in name]) <= FIELD_CALLS


def test_calls_that_take_long_are_not_made(rig):
    slow = ("Throughput", "InforomConfigurationChecksum", "CurrentClockFreqs", "PerformanceModes")
    made = rig()
    for _ in range(2):
        assert not [name for name, _ in taken(made) if any(word in name for word in slow)]


def test_reading_after_reading_leaves_nothing_behind(rig):
    made = rig()
    taken(made)
    before = _sizes(made)
    for _ in range(200):
        made.clock.seconds += 15
        taken(made)
    assert _sizes(made) == before


def _sizes(made):
    """Of everything that is kept from one reading to the next."""
    (gpu,) = made.survey._gpus.values()
    (slow,) = made.survey._collectors.slow
    return len(gpu._settled), len(slow._measured), len(made.ledger._count), len(made.survey._known)
