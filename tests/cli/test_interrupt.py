"""Claims about ``cli.interrupt``."""

from __future__ import annotations

import signal

import pytest

from appliance.cli import interrupt


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_stop_signal_is_raised_with_the_shells_exit_code(number: signal.Signals, status: int) -> None:
    former = signal.signal(number, signal.SIG_DFL)  # the tests themselves may run under nohup
    try:
        with pytest.raises(interrupt.Interrupted) as stop, interrupt.raised():
            signal.raise_signal(number)
    finally:
        signal.signal(number, former)

    assert (stop.value.signum, stop.value.exit_code) == (number, status)


def test_a_noted_signal_is_not_raised() -> None:
    with interrupt.noted() as came:
        assert not came()
        signal.raise_signal(signal.SIGTERM)

        assert came()


def test_the_former_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in interrupt.SIGNALS]

    with interrupt.raised(), interrupt.noted():
        assert [signal.getsignal(number) for number in interrupt.SIGNALS] != before

    assert [signal.getsignal(number) for number in interrupt.SIGNALS] == before


def test_under_nohup_a_closed_terminal_stops_nothing() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupt.raised():
            signal.raise_signal(signal.SIGHUP)
            survived = True
    finally:
        signal.signal(signal.SIGHUP, former)

    assert survived
