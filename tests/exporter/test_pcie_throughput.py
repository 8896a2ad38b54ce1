"""Measured after a scrape, shown in the next."""

from __future__ import annotations

from appliance.exporter.pcie_throughput import STALE_SECONDS, PcieThroughput
from tests.exporter.conftest import values

NAME = "appliance_gpu_pcie_throughput_bytes_per_second"


def test_no_scrape_waits_for_it(rig):
    made = rig()
    for _ in range(2):
        made.survey.read()
        made.survey.measure()
    made.driver.calls.clear()
    assert (NAME, "0", "transmit") in made.read()
    assert not [name for name, _ in made.driver.calls if "Throughput" in name]


def test_the_first_scrape_has_none_and_the_next_has_both(rig):
    made = rig()
    assert not [name for name, *_ in made.read() if name == NAME]
    made.survey.measure()
    found = made.read()
    assert (found[NAME, "0", "transmit"], found[NAME, "0", "receive"]) == (742_000, 620_000)


def test_what_is_old_is_not_shown(rig):
    made = rig()
    collector, gpu = PcieThroughput(), made.gpu()
    collector.measure(gpu)
    made.clock.seconds += STALE_SECONDS + 1
    assert list(collector.collect(gpu)) == []


def test_it_forgets_when_cards_change(rig):
    collector, gpu = PcieThroughput(), rig().gpu()
    collector.measure(gpu)
    assert values(collector.collect(gpu))
    collector.forget()
    assert list(collector.collect(gpu)) == []
