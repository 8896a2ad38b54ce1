"""One reading, on good days and bad ones."""

from __future__ import annotations

import pynvml
import pytest

from appliance.exporter.nvml import DOWN_REASONS, UNAVAILABLE_REASONS
from appliance.exporter.survey import REOPEN_SECONDS, RETRY_SECONDS
from tests.fakes import nvml, nvml_cards
from tests.fakes.nvml import FakeNvml

UP = ("appliance_gpu_up", "0")
AVAILABLE = ("appliance_exporter_nvml_available",)
POWER = ("appliance_gpu_power_watts", "0")


def reason(found, gpu="0"):
    """The one reason that is set, None if none is; all of them must be there."""
    labels = {name[2]: value for name, value in found.items() if name[:2] == ("appliance_gpu_down_reason", gpu)}
    assert set(labels) == set(DOWN_REASONS)
    return next((label for label, value in labels.items() if value), None)


def why(found):
    labels = {n[1]: value for n, value in found.items() if n[0] == "appliance_exporter_nvml_unavailable_reason"}
    assert set(labels) == set(UNAVAILABLE_REASONS)
    return next((label for label, value in labels.items() if value), None)


def test_a_good_day(rig):
    found = rig().read()
    assert found[UP] == found[AVAILABLE] == 1
    assert reason(found) is why(found) is None
    assert all(value == 1 for name, value in found.items() if name[0] == "appliance_exporter_collector_success")


def test_a_card_that_falls_off_the_bus_is_down_with_its_reason_and_its_xids(rig):
    made = rig()
    made.read()
    made.ledger.record("0", 79, 1.0)
    made.driver.lose()
    found = made.read()
    assert found[UP] == 0
    assert reason(found) == "lost"
    assert found[AVAILABLE] == 1
    assert found["appliance_gpu_xid_errors_total", "0", "79", "reboot"] == 1
    assert POWER not in found
    assert not [name for name in found if name[0] == "appliance_exporter_collector_success"]


def test_a_lost_card_that_comes_back_is_read_again(rig):
    made = rig()
    made.read()
    made.driver.lose()
    made.read()
    made.driver.fail("*", 0)
    found = made.read()
    assert (found[UP], reason(found), POWER in found) == (1, None, True)


def test_nvml_is_opened_anew_for_a_lost_card_but_not_at_every_scrape(rig):
    made = rig()
    made.read()
    made.driver.lose()
    made.read()
    made.driver.calls.clear()
    for _ in range(3):
        made.read()
    assert made.driver.opened == 1
    made.driver.fail("*", 0)
    made.driver.fail("nvmlInit", pynvml.NVML_ERROR_UNKNOWN)
    made.clock.seconds += REOPEN_SECONDS
    found = made.read()
    assert (found[UP], found[AVAILABLE], made.driver.opened) == (0, 0, 0)
    made.driver.fail("nvmlInit", 0)
    made.clock.seconds += RETRY_SECONDS
    assert (made.read()[UP], made.driver.opened) == (1, 1)


def test_a_card_that_is_no_longer_counted_is_lost_not_forgotten(rig):
    made = rig()
    made.read()
    made.driver.lose()
    made.read()
    made.driver.cards.clear()
    made.clock.seconds += REOPEN_SECONDS
    found = made.read()
    assert (found[UP], reason(found), why(found)) == (0, "lost", "no_gpu")


def test_the_second_card_of_two_that_is_no_longer_counted_is_lost(rig):
    made = rig(nvml.recorded(), nvml_cards.l4())
    made.read()
    made.driver.lose()
    made.read()
    made.driver.fail("*", 0)
    del made.driver.cards[1]
    made.clock.seconds += REOPEN_SECONDS
    found = made.read()
    assert (found[UP], found["appliance_gpu_up", "1"]) == (1, 0)
    assert (reason(found), reason(found, "1")) == (None, "lost")


def test_what_was_measured_before_nvml_was_opened_anew_is_not_shown(rig):
    made = rig()
    made.read()
    made.survey.measure()
    made.driver.lose()
    made.read()
    made.driver.fail("*", 0)
    made.clock.seconds += REOPEN_SECONDS
    assert not [name for name in made.read() if "throughput_bytes" in name[0]]


def test_a_machine_without_a_driver_says_so_and_is_asked_again_now_and_then(rig):
    made = rig()
    made.driver.fail("nvmlInit", pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    found = made.read()
    assert (found[AVAILABLE], why(found)) == (0, "driver_not_loaded")
    assert not [name for name in found if name[0] == UP[0]]
    made.driver.fail("nvmlInit", 0)
    assert made.read()[AVAILABLE] == 0
    made.clock.seconds += RETRY_SECONDS
    found = made.read()
    assert found[AVAILABLE] == found[UP] == 1


def test_a_collector_that_fails_fails_alone_and_keeps_what_it_had(rig):
    made = rig()
    made.driver.fail("nvmlDeviceGetTotalEnergyConsumption", pynvml.NVML_ERROR_UNKNOWN)
    found = made.read()
    assert found["appliance_exporter_collector_success", "power"] == 0
    assert found["appliance_exporter_collector_success", "clocks"] == 1
    assert found[POWER] == 74.845
    assert found[UP] == 1


def test_an_answer_of_an_unexpected_form_fails_its_collector_alone(rig):
    card = nvml.recorded()
    card["calls"]["nvmlDeviceGetRemappedRows()"] = {"value": "odd"}
    found = rig(card).read()
    assert found["appliance_exporter_collector_success", "row_remapping"] == 0
    assert found[UP] == 1


def test_a_card_of_which_nothing_can_be_read_is_down(rig):
    made = rig()
    made.driver.fail("*", pynvml.NVML_ERROR_UNKNOWN)
    found = made.read()
    assert (found[UP], reason(found)) == (0, "error")


def test_one_lost_card_of_two_leaves_the_other_alone(rig):
    made = rig(nvml.recorded(), nvml_cards.l4())
    made.driver.cards[0]["calls"] = {
        name: {"error": "NVMLError_GpuIsLost: GPU is lost"} for name in made.driver.cards[0]["calls"]
    }
    found = made.read()
    assert (found[UP], found["appliance_gpu_up", "1"]) == (0, 1)
    assert (reason(found), reason(found, "1")) == ("lost", None)
    assert ("appliance_gpu_power_watts", "1") in found


def test_a_card_that_cannot_be_reached_at_the_start_is_down(rig):
    made = rig()
    made.driver.fail("nvmlDeviceGetHandleByIndex", pynvml.NVML_ERROR_INSUFFICIENT_POWER)
    found = made.read()
    assert (found[UP], reason(found)) == (0, "insufficient_power")


def test_collectors_time_is_counted(rig, monkeypatch):
    made = rig()

    def slow(*_):
        made.clock.seconds += 0.25
        return 74845

    monkeypatch.setattr(FakeNvml, "nvmlDeviceGetPowerUsage", slow, raising=False)
    assert made.read()["appliance_exporter_collector_duration_seconds", "power"] == 0.25


def test_what_is_measured_afterwards_disturbs_nothing(rig):
    made = rig()
    made.driver.fail("nvmlDeviceGetPcieThroughput", pynvml.NVML_ERROR_UNKNOWN)
    made.read()
    made.survey.measure()
    found = made.read()
    assert found[UP] == 1
    assert not [name for name in found if "throughput_bytes" in name[0]]


@pytest.mark.parametrize("reading", ["hung", "error"])
def test_without_a_reading_the_known_cards_are_down(rig, reading):
    made = rig(nvml.recorded(), nvml_cards.l4())
    made.read()
    found = {(sample.family.name, *sample.labels): sample.value for sample in made.survey.unread(reading)}
    assert (found[UP], reason(found), why(found)) == (0, reading, reading)


def test_closing_gives_everything_back(rig):
    made = rig()
    made.read()
    made.survey.close()
    assert made.driver.opened == 0


def test_the_xid_watch_is_shown(rig):
    made = rig()
    assert made.read()["appliance_exporter_xid_watch_up",] == 1
    made.survey.close()
    made.driver.fail("nvmlEventSetCreate", pynvml.NVML_ERROR_NO_PERMISSION)
    made.clock.seconds += REOPEN_SECONDS
    found = made.read()
    assert (found["appliance_exporter_xid_watch_up",], found[UP]) == (0, 1)
