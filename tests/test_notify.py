"""What the service manager is told."""

from __future__ import annotations

import socket

import pytest

from appliance.notify import Heartbeat, Notifier
from tests.engine.supervised_engine import NotifySocket


def test_every_message_has_the_form_of_sd_notify(state_dir):
    manager = NotifySocket(state_dir / "notify")
    notifier = Notifier(str(manager.path))
    notifier.status("Loading")
    notifier.ready()
    notifier.alive()
    notifier.patience(2.5)
    notifier.stopping()
    expected = ["STATUS=Loading", "READY=1", "WATCHDOG=1", "WATCHDOG_USEC=2500000", "WATCHDOG=1", "STOPPING=1"]
    assert manager.lines() == expected
    manager.close()


def test_abstract_address_is_understood(state_dir):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0appliance-test" + state_dir.name)
        Notifier("@appliance-test" + state_dir.name).ready()
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "/nonexistent/notify"])
def test_absent_service_manager_stops_nothing(address):
    assert Notifier(address).ready() is None


def test_a_loop_that_turns_fast_tells_it_four_times_within_the_time_out(state_dir):
    manager = NotifySocket(state_dir / "notify")
    now = [100.0]
    heart = Heartbeat(Notifier(str(manager.path)), 20.0, lambda: now[0])
    for _ in range(200):
        heart.beat()
        now[0] += 0.1
    assert manager.lines() == ["WATCHDOG=1"] * 4
    manager.close()


def test_a_loop_without_a_watchdog_tells_nothing(state_dir):
    manager = NotifySocket(state_dir / "notify")
    Heartbeat(Notifier(str(manager.path)), None).beat()
    assert manager.lines() == []
    manager.close()
