"""Which card it is."""

from __future__ import annotations

from appliance.exporter.identity import INFO, PERFORMANCE_STATE, Identity
from tests.fakes import nvml


def test_the_h100_says_who_it_is(rig):
    (info,) = (sample for sample in Identity().collect(rig().gpu()) if sample.family is INFO)
    labels = dict(zip(INFO.labels, info.labels, strict=True))
    assert labels["name"] == "NVIDIA H100 80GB HBM3"
    assert labels["architecture"] == "hopper"
    assert labels["compute_capability"] == "9.0"
    assert labels["pci_bus_id"] == "00000000:00:06.0"


def test_names_are_asked_for_once_a_minute_not_at_every_scrape(rig):
    made = rig()
    gpu = made.gpu()
    for _ in range(3):
        list(Identity().collect(gpu))
    assert [name for name, _ in made.driver.calls].count("nvmlDeviceGetName()") == 1
    made.clock.seconds += 61
    list(Identity().collect(gpu))
    assert [name for name, _ in made.driver.calls].count("nvmlDeviceGetName()") == 2


def test_an_unknown_performance_state_is_absent(rig):
    card = nvml.recorded()
    card["calls"]["nvmlDeviceGetPerformanceState()"] = {"value": 32}
    assert PERFORMANCE_STATE not in {sample.family for sample in Identity().collect(rig(card).gpu())}
