"""Claims about ``gateway.lease``."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.core.api_key import ApiKey
from appliance.core.event_stream import Usage
from appliance.core.limits import Account, Estimate, Limits, Today
from appliance.errors import QuotaExceeded
from appliance.gateway.day_use import DayUse
from appliance.gateway.lease import Lease

DAY = Today(5, 100.0)
KEY = ApiKey("id", "app", b"", 0.0, limits=Limits(tokens_per_day=1000), account="first")
ESTIMATE = Estimate(30, 70, is_asked=True)


class Use(DayUse):
    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.noted: list[tuple[str, int, int]] = []

    def note(self, account: str, day: int, tokens: int) -> None:
        self.noted.append((account, day, tokens))


@pytest.fixture
def use() -> Use:
    return Use()


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def lease(account: Account, use: Use) -> Lease:
    return Lease(KEY, account, use, lambda: 1.0, lambda: DAY)


@pytest.mark.parametrize(
    ("usage", "worked", "tokens"),
    [
        (Usage(20, 5), True, 25),
        (Usage(20, 5, "running"), True, 25),
        (Usage(0, 4, "counted"), True, 34),  # four events, and the prompt as it was estimated
        (None, True, 30),
        (None, False, 0),
    ],
)
def test_a_request_costs_what_is_known_of_it(
    lease: Lease, account: Account, usage: Usage | None, worked: bool, tokens: int
) -> None:
    lease.begin()
    lease.reserve_tokens(ESTIMATE)
    assert account.tokens_on(5) == 100
    lease.close(usage, worked=worked)
    assert account.tokens_on(5) == tokens
    assert account.in_flight == 0


def test_headers_are_exact_once_the_usage_is_known(lease: Lease, account: Account) -> None:
    lease.begin()
    lease.reserve_tokens(ESTIMATE)
    assert dict(lease.headers(None))[b"x-ratelimit-remaining-tokens"] == b"900"
    assert dict(lease.headers(Usage(10, 10)))[b"x-ratelimit-remaining-tokens"] == b"980"
    lease.close(Usage(10, 10), worked=True)
    assert account.tokens_on(5) == 20


def test_what_begins_nothing_costs_nothing(lease: Lease, account: Account, use: Use) -> None:
    lease.reserve_tokens(ESTIMATE)
    lease.close(Usage(10, 10), worked=True)
    assert (account.tokens_on(5), account.in_flight, use.noted) == (0, 0, [])


def test_the_day_is_noted_for_the_disk_with_what_is_reserved_and_then_what_was_used(lease: Lease, use: Use) -> None:
    lease.begin()
    lease.reserve_tokens(ESTIMATE)
    lease.close(Usage(10, 10), worked=True)
    assert use.noted == [("first", 5, 100), ("first", 5, 20)]


def test_a_refused_reservation_is_closed_as_nothing(lease: Lease, account: Account, use: Use) -> None:
    lease.begin()
    with pytest.raises(QuotaExceeded):
        lease.reserve_tokens(Estimate(2000, 1, is_asked=True))
    lease.close(None, worked=False)
    assert (account.tokens_on(5), account.in_flight, use.noted) == (0, 0, [])
