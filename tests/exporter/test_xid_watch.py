"""XIDs are counted, all of them, and stay counted."""

from __future__ import annotations

import threading

import pynvml
import pytest

from appliance.exporter import xid_watch
from appliance.exporter.xid_watch import XidLedger
from tests.exporter.conftest import values

TOTAL = "appliance_gpu_xid_errors_total"


class Listened(XidLedger):
    """Says when an XID was counted."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Semaphore(0)

    def record(self, gpu, number, at_seconds):
        super().record(gpu, number, at_seconds)
        self.heard.release()

    def wait(self, times):
        assert all(self.heard.acquire(timeout=30) for _ in range(times))


def test_an_xid_that_never_came_is_zero_so_that_the_first_is_a_rise():
    found = values(XidLedger().samples(["0"]))
    assert found[TOTAL, "0", "79", "reboot"] == 0
    assert found[TOTAL, "0", "other", "unknown"] == 0
    assert not any(name == "appliance_gpu_xid_last_timestamp_seconds" for name, *_ in found)


def test_each_is_counted_with_its_last_time_and_not_only_the_last_one():
    ledger = XidLedger()
    for number, at_seconds in ((13, 10.0), (13, 20.0), (79, 15.0)):
        ledger.record("0", number, at_seconds)
    found = values(ledger.samples(["0", "1"]))
    assert found[TOTAL, "0", "13", "restart_application"] == 2
    assert found[TOTAL, "0", "79", "reboot"] == 1
    assert found[TOTAL, "1", "79", "reboot"] == 0
    assert found["appliance_gpu_xid_last_timestamp_seconds", "0", "13", "restart_application"] == 20.0
    assert found["appliance_gpu_xid_last_code", "0"] == 79


def test_strangers_share_one_series():
    ledger = XidLedger()
    ledger.record("0", 5000, 30.0)
    ledger.record("0", 5001, 20.0)
    found = values(ledger.samples(["0"]))
    assert found[TOTAL, "0", "other", "unknown"] == 2
    assert found["appliance_gpu_xid_last_timestamp_seconds", "0", "other", "unknown"] == 30.0
    assert found["appliance_gpu_xid_last_code", "0"] == 5001


def watch(made, ledger):
    events = made.library.events([made.gpu()])
    assert events is not None
    thread = xid_watch.XidWatch(events, ledger, now=lambda: 1_700_000_000.0)
    thread.start()
    return thread


def test_what_the_driver_reports_is_counted_in_a_thread_of_its_own(rig):
    made, ledger = rig(), Listened()
    thread = watch(made, ledger)
    made.driver.report_xid(79)
    made.driver.report_xid(94)
    ledger.wait(2)
    found = values(ledger.samples(["0"]))
    assert found[TOTAL, "0", "79", "reboot"] == found[TOTAL, "0", "94", "restart_application"] == 1
    assert thread.stop(30)


def test_a_driver_that_cannot_be_waited_on_is_not_asked_in_a_loop_and_heard_again_later(rig, monkeypatch):
    monkeypatch.setattr(xid_watch, "PAUSE_SECONDS", 0.01)
    made, ledger = rig(), Listened()
    made.driver.fail("nvmlEventSetWait_v2", pynvml.NVML_ERROR_GPU_IS_LOST)
    thread = watch(made, ledger)
    while thread.listening:
        assert thread.is_alive()
    made.driver.fail("nvmlEventSetWait_v2", 0)
    made.driver.report_xid(31)
    ledger.wait(1)
    assert thread.listening
    assert thread.stop(30)


def test_a_watch_that_hangs_in_a_call_says_so_when_it_is_to_end(rig):
    made = rig()
    made.driver.hang("nvmlEventSetWait_v2")
    thread = watch(made, XidLedger())
    assert made.driver.waiting.wait(30)
    assert not thread.stop(0.01)
    made.driver.released.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize("supported", [0x8, 0x0])
def test_a_card_without_xid_events_is_not_registered(rig, supported):
    made = rig()
    made.driver.cards[0]["calls"]["nvmlDeviceGetSupportedEventTypes()"] = {"value": supported}
    made.driver.fail("nvmlDeviceRegisterEvents", pynvml.NVML_ERROR_UNKNOWN)
    if supported:
        with pytest.raises(Exception, match="nvmlDeviceRegisterEvents"):
            made.library.events([made.gpu()])
    else:
        assert made.library.events([made.gpu()]) is not None
