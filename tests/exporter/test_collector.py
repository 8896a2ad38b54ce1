"""What holds for every collector."""

from __future__ import annotations

import pytest

from appliance.exporter import collectors
from tests.exporter.test_exporter_goldens import CARDS
from tests.fakes.nvml import Card

COLLECTORS = {collector.name: collector for collector in collectors.standard().every}
#: A card of which the driver knows nothing but that it is there.
MUTE: Card = {"driver": "1", "nvml_version": "1", "calls": {}, "fields": {}}


@pytest.mark.parametrize("name", COLLECTORS)
@pytest.mark.parametrize("card", CARDS)
def test_it_yields_what_it_declares_with_every_label_once_each(rig, card, name):
    collector = COLLECTORS[name]
    samples = list(collector.collect(rig(CARDS[card]()).gpu()))
    assert {sample.family for sample in samples} <= set(collector.families)
    assert all(len(sample.labels) == len(sample.family.labels) for sample in samples)
    assert all(sample.labels[0] == "0" for sample in samples)
    assert len({(sample.family.name, sample.labels) for sample in samples}) == len(samples)


@pytest.mark.parametrize("name", sorted(set(COLLECTORS) - {"identity"}))
def test_what_a_card_does_not_have_is_absent_and_no_failure(rig, name):
    assert list(COLLECTORS[name].collect(rig(MUTE).gpu())) == []


def test_a_card_that_says_nothing_of_itself_still_has_its_line(rig):
    (info,) = COLLECTORS["identity"].collect(rig(MUTE).gpu())
    assert info.labels == ("0", *[""] * 7)
