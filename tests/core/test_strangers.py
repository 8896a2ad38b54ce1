"""What of the refused strangers is recorded."""

from __future__ import annotations

from appliance.core.audit_chain import Record
from appliance.core.strangers import MAX_ADDRESSES, OTHERS, SINGLE, WINDOW_MS, Strangers


def refused(at_ms: int, address: str = "10.0.0.9", error: str = "invalid_api_key") -> Record:
    return Record("whole", at_ms, "r", address=address, outcome="refused", error=error)


def test_first_refusals_are_recorded_and_the_rest_counted_once() -> None:
    strangers = Strangers()
    admitted = [strangers.admit(refused(1000 + number)) for number in range(SINGLE + 5)]
    assert admitted == [True] * SINGLE + [False] * 5
    strangers.admit(refused(1100, error="missing_api_key"))
    assert strangers.flush((1000 + WINDOW_MS - 1) / 1000) == []
    counted = strangers.flush((1000 + WINDOW_MS) / 1000)
    assert [(record.error, record.times) for record in counted] == [("invalid_api_key", 5), ("missing_api_key", 1)]
    assert strangers.flush(10**9) == []


def test_new_window_records_again() -> None:
    strangers = Strangers()
    for _ in range(SINGLE + 1):
        strangers.admit(refused(0))
    strangers.flush(WINDOW_MS / 1000)
    assert strangers.admit(refused(WINDOW_MS))


def test_addresses_do_not_share_a_count_until_there_are_too_many() -> None:
    strangers = Strangers()
    for number in range(MAX_ADDRESSES + SINGLE):
        assert strangers.admit(refused(0, address=f"10.0.{number // 256}.{number % 256}"))
    assert not strangers.admit(refused(0, address="172.16.0.1"))
    (counted,) = strangers.flush(WINDOW_MS / 1000)
    assert (counted.address, counted.times) == (OTHERS, 1)
    assert len(strangers._seen) == 0
