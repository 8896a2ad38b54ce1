"""Claims about ``core.drop_total``."""

from __future__ import annotations

import pytest

from appliance.core import drop_total, upkeep_note
from appliance.core.drop_total import Total
from appliance.core.nft_listing import Dropped
from appliance.core.upkeep_note import Note

AT = 1_795_406_848.0
FIRST = drop_total.add(None, {"engine": Dropped(0, 0), "other": Dropped(7, 420)}, AT, 1000.0)


def add(before: Total, engine: int, other: int, up_seconds: float) -> Total:
    counters = {"engine": Dropped(engine, engine * 60), "other": Dropped(other, other * 60)}
    return drop_total.add(before, counters, AT + up_seconds, up_seconds)


def test_what_the_counters_rise_by_is_added() -> None:
    later = add(FIRST, 1, 9, 1300.0)
    assert later.dropped == {"engine": Dropped(1, 60), "other": Dropped(9, 540)}
    assert (later.since, later.begun_anew) == (AT, 0)
    assert add(later, 1, 9, 1600.0).dropped == later.dropped


def test_a_counter_that_is_smaller_has_begun_anew_and_all_of_it_is_new() -> None:
    before = add(FIRST, 2, 9, 1300.0)
    loaded = add(before, 1, 9, 1600.0)
    assert loaded.dropped["engine"] == Dropped(3, 180)
    assert loaded.begun_anew == 1
    assert add(loaded, 0, 0, 1900.0).dropped["engine"] == Dropped(3, 180)


def test_all_counters_are_new_after_a_restart_however_large_they_are() -> None:
    restarted = add(FIRST, 0, 8, 120.0)
    assert restarted.dropped["other"] == Dropped(15, 900)
    assert restarted.begun_anew == 1


def test_a_counter_that_was_not_there_is_new() -> None:
    assert drop_total.add(FIRST, {"gateway": Dropped(4, 240)}, AT, 1000.0).dropped["gateway"] == Dropped(4, 240)


def test_a_total_is_read_as_it_was_left_and_is_good_while_the_engine_is_silent() -> None:
    loud = add(FIRST, 1, 9, 1300.0)
    for total, good in ((FIRST, True), (loud, False)):
        note = upkeep_note.decode(upkeep_note.encode(drop_total.to_note(total)))
        assert note.ok is good
        assert drop_total.of_note(note) == total


@pytest.mark.parametrize("change", [{"since": None}, {"dropped": 1}, {"seen": {"engine": {"packets": -1, "bytes": 0}}}])
def test_another_note_is_no_total(change: dict[str, object]) -> None:
    note = drop_total.to_note(FIRST)
    with pytest.raises(ValueError, match=r"no total|below 0"):
        drop_total.of_note(Note(note.at, note.ok, {**note.facts, **change}))
