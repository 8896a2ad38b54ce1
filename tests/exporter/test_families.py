"""The list of all metrics."""

from __future__ import annotations

import pytest

from appliance.exporter import families
from tests.exporter.test_exporter_goldens import CARDS

UNITS = ("_bytes", "_seconds", "_celsius", "_ratio", "_watts", "_hertz", "_lanes", "_bytes_per_second")


@pytest.mark.parametrize("card", CARDS)
def test_a_scrape_has_nothing_that_is_not_listed(rig, card):
    made = rig(CARDS[card]())
    assert {sample.family for sample in made.survey.read()} <= set(families.every())


def test_names_are_distinct_and_ours():
    names = [family.name for family in families.every()]
    assert len(names) == len(set(names))
    assert all(name.startswith(("appliance_gpu_", "appliance_exporter_")) for name in names)


def test_counters_and_only_they_end_in_total():
    assert all((family.kind == "counter") == family.name.endswith("_total") for family in families.every())


def test_no_label_can_hold_a_process_or_a_command():
    labels = {label for family in families.every() for label in family.labels}
    assert not labels & {"pid", "process", "command", "user", "cmdline"}
