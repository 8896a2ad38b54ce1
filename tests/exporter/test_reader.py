"""A scrape waits for NVML only so long."""

from __future__ import annotations

import threading

import pytest

from appliance.exporter.reader import Reader
from appliance.exporter.survey import Survey
from tests.cli.foreground import wait_for
from tests.exporter.conftest import values
from tests.exporter.test_survey import reason, why
from tests.fakes import nvml, nvml_cards

SOON, LONG = 0.05, 30.0
UP = ("appliance_gpu_up", "0")


@pytest.fixture
def reader(rig):
    """Makes a started reader over a rig."""
    made: list[tuple[Reader, nvml.FakeNvml]] = []

    def make(one, deadline_seconds=LONG):
        reader = Reader(one.survey, deadline_seconds)
        reader.start()
        made.append((reader, one.driver))
        return reader

    yield make
    for one, driver in made:
        driver.released.set()
        one.stop(LONG)
        assert not one.is_alive()


def test_a_reading_is_made_when_it_is_asked_for(rig, reader):
    made = rig()
    assert values(reader(made).samples())[UP] == 1


def test_a_call_that_hangs_leaves_the_card_down_and_the_scrape_answered(rig, reader):
    made = rig()
    made.read()
    made.driver.hang("nvmlDeviceGetPowerUsage")
    found = values(reader(made, SOON).samples())
    assert made.driver.waiting.is_set()
    assert (found[UP], reason(found), why(found)) == (0, "hung", None)
    assert found["appliance_gpu_xid_errors_total", "0", "79", "reboot"] == 0


def test_the_card_behind_the_one_that_hangs_is_unread(rig, reader):
    made = rig(nvml.recorded(), nvml_cards.l4())
    made.read()
    made.driver.hang("nvmlDeviceGetPowerUsage")
    found = values(reader(made, SOON).samples())
    assert (reason(found, "0"), reason(found, "1")) == ("hung", "unread")


def test_while_it_hangs_later_scrapes_do_not_wait(rig, reader, monkeypatch):
    made = rig()
    made.driver.hang("nvmlInit")
    one = reader(made, SOON)
    assert why(values(one.samples())) == "hung"
    assert made.driver.waiting.wait(LONG)
    one._busy_since -= LONG
    with monkeypatch.context() as patched:
        patched.setattr(one._state, "wait_for", lambda *_: pytest.fail("it waits"))
        assert why(values(one.samples())) == "hung"


def test_a_call_that_comes_back_after_all_is_forgotten(rig, reader):
    made = rig()
    made.read()
    made.driver.hang("nvmlDeviceGetPowerUsage")
    one = reader(made, SOON)
    assert values(one.samples())[UP] == 0
    made.driver._hanging.clear()
    made.driver.released.set()
    one._deadline_seconds = LONG
    assert values(one.samples())[UP] == 1


def test_scrapes_at_the_same_time_share_a_reading(rig, reader, monkeypatch):
    made = rig()
    made.read()
    readings = []
    whole = Survey.read

    def counted(survey):
        readings.append(1)
        return whole(survey)

    monkeypatch.setattr(Survey, "read", counted)
    made.driver.hang("nvmlDeviceGetPowerUsage")
    one = reader(made)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(one.samples())) for _ in range(8)]
    threads[0].start()
    assert made.driver.waiting.wait(LONG)
    for thread in threads[1:]:
        thread.start()
    wait_for(lambda: len(one._state._waiters) == len(threads))
    made.driver.released.set()
    for thread in threads:
        thread.join(LONG)
    assert len(answers) == 8
    assert all(values(answer)[UP] == 1 for answer in answers)
    one.stop(LONG)
    assert len(readings) == 1
    assert not one._wanted


def test_a_reading_that_fails_by_a_fault_of_ours_is_said_and_the_next_is_made(rig, reader, monkeypatch):
    made = rig()
    made.read()
    one = reader(made)
    whole = Survey.read
    monkeypatch.setattr(Survey, "read", lambda _survey: 1 / 0)
    found = values(one.samples())
    assert (found[UP], reason(found)) == (0, "error")
    monkeypatch.setattr(Survey, "read", whole)
    assert values(one.samples())[UP] == 1


def test_stopping_gives_nvml_back(rig, reader):
    made = rig()
    one = reader(made)
    one.samples()
    one.stop(LONG)
    assert made.driver.opened == 0
