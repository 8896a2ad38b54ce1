"""Claims about ``core.limits``: no interleaving passes a limit, and settling neither leaks nor goes below zero."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from appliance.core.limits import Account, Estimate, Hold, Limits, Today, duration
from appliance.errors import QuotaExceeded, RateLimited

DAY = Today(1, 3600.0)


class Interleaving(RuleBasedStateMachine):
    """Requests that begin, reserve, settle and end in any order, while time and days pass."""

    holds = Bundle("holds")
    LIMITS = Limits(requests_per_minute=6, tokens_per_minute=100, concurrent_requests=4, tokens_per_day=300)

    def __init__(self) -> None:
        super().__init__()
        self.account = Account()
        self.now = 1000.0
        self.today = Today(1, 3600.0)
        self.admitted: list[tuple[float, Hold]] = []
        #: What each reservation costs in the end, at most what it reserved: (time, day, hold, tokens).
        self.costs: dict[Hold, tuple[float, int, int]] = {}
        self.open: set[Hold] = set()

    @rule(seconds=st.floats(0, 70))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def midnight(self) -> None:
        self.today = Today(self.today.day + 1, 3600.0)

    @rule(target=holds)
    def begin(self):
        try:
            hold = self.account.admit(self.LIMITS, self.now)
        except RateLimited:
            return multiple()
        self.open.add(hold)
        self.admitted.append((self.now, hold))
        return hold

    @rule(hold=holds, tokens=st.tuples(st.integers(0, 60), st.integers(0, 60)), asked=st.booleans())
    def reserve(self, hold: Hold, tokens: tuple[int, int], asked: bool) -> None:
        if hold.entry is not None or not hold.is_open:
            return
        try:
            self.account.reserve(hold, self.LIMITS, Estimate(*tokens, asked), self.now, self.today)
        except (RateLimited, QuotaExceeded):
            self.open.discard(hold)
            self.admitted = [pair for pair in self.admitted if pair[1] is not hold]
        else:
            assert hold.reserved <= sum(tokens)
            assert not asked or hold.reserved == sum(tokens)
            self.costs[hold] = (self.now, self.today.day, hold.reserved)

    @rule(hold=holds, part=st.floats(0, 1))
    def settle(self, hold: Hold, part: float) -> None:
        if hold.entry is not None and not hold.settled:
            at, day, reserved = self.costs[hold]
            self.costs[hold] = (at, day, int(reserved * part))
        self.account.settle(hold, int(hold.reserved * part), self.now, self.today)

    @rule(hold=consumes(holds), part=st.floats(0, 1))
    def end(self, hold: Hold, part: float) -> None:
        self.settle(hold, part)
        self.account.close(hold, 10**6, self.now, self.today)  # settled before: this count comes too late
        self.account.close(hold, 10**6, self.now, self.today)
        self.open.discard(hold)

    @invariant()
    def nothing_passes_a_limit(self) -> None:
        for start, _ in self.admitted[-20:]:
            assert sum(start <= at < start + 60 for at, _ in self.admitted) <= 6
        for start, _, _ in list(self.costs.values())[-20:]:
            assert sum(cost for at, _, cost in self.costs.values() if start <= at < start + 60) <= 100
        for day in {day for _, day, _ in self.costs.values()}:
            assert sum(cost for _, on, cost in self.costs.values() if on == day) <= 300

    @invariant()
    def the_books_are_right(self) -> None:
        assert self.account.in_flight == len(self.open) <= 4
        today = self.today.day
        assert self.account.tokens_on(today) == sum(cost for _, day, cost in self.costs.values() if day == today)
        assert self.account.tokens_last_minute(self.now) >= 0
        assert self.account._reserved == sum(hold.reserved for hold in self.costs if not hold.settled)

    def teardown(self) -> None:
        for hold in list(self.open):
            self.account.close(hold, 0, self.now, self.today)
        assert self.account.in_flight == 0
        assert self.account._reserved == 0
        assert self.account.tokens_last_minute(self.now + 61) == 0
        self.account.admit(self.LIMITS, self.now + 61)


Interleaving.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestInterleaving = Interleaving.TestCase


def refused(account: Account, limits: Limits, now: float) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        account.admit(limits, now)
    return caught.value


def test_a_burst_after_an_idle_time_is_no_larger_than_the_limit() -> None:
    account, limits = Account(), Limits(requests_per_minute=10)
    admitted = 0
    for step in range(600):  # a minute of ten requests a second
        try:
            account.close(account.admit(limits, 500 + step / 10), 0, 500 + step / 10, DAY)
            admitted += 1
        except RateLimited:
            pass
    assert admitted == 10


def test_the_retry_time_of_the_request_rate_is_true_to_the_millisecond() -> None:
    account, limits = Account(), Limits(requests_per_minute=2)
    account.admit(limits, 100.0)
    account.admit(limits, 130.0)
    err = refused(account, limits, 140.0)
    wait = int(err.headers["retry-after-ms"]) / 1000
    assert err.headers["x-should-retry"] == "true"
    assert int(err.headers["retry-after"]) >= wait
    refused(account, limits, 140.0 + wait - 0.01)
    account.admit(limits, 140.0 + wait)


def test_a_refused_request_costs_nothing() -> None:
    account, limits = Account(), Limits(requests_per_minute=5, tokens_per_minute=100)
    for _ in range(50):
        with pytest.raises(RateLimited):
            account.reserve(account.admit(limits, 1.0), limits, Estimate(10, 100, True), 1.0, DAY)
    headers = dict(account.headers(limits, 1.0, DAY))
    assert (headers[b"x-ratelimit-remaining-requests"], headers[b"x-ratelimit-remaining-tokens"]) == (b"5", b"100")
    assert account.in_flight == 0


def test_requests_at_once_are_limited_until_one_ends() -> None:
    account, limits = Account(), Limits(concurrent_requests=2)
    first = account.admit(limits, 0.0)
    account.admit(limits, 0.0)
    assert int(refused(account, limits, 1.0).headers["retry-after-ms"]) > 0
    account.close(first, 0, 2.0, DAY)
    account.admit(limits, 2.0)


def test_tokens_are_settled_with_what_was_really_used() -> None:
    account, limits = Account(), Limits(tokens_per_minute=100)
    hold = account.admit(limits, 0.0)
    account.reserve(hold, limits, Estimate(20, 80, True), 0.0, DAY)
    assert dict(account.headers(limits, 0.0, DAY))[b"x-ratelimit-remaining-tokens"] == b"0"
    account.close(hold, 30, 1.0, DAY)
    assert dict(account.headers(limits, 1.0, DAY))[b"x-ratelimit-remaining-tokens"] == b"70"


def test_what_was_used_beyond_the_reservation_is_booked_and_nothing_shows_below_zero() -> None:
    account, limits = Account(), Limits(tokens_per_minute=100, tokens_per_day=1000)
    hold = account.admit(limits, 0.0)
    account.reserve(hold, limits, Estimate(50, 50, True), 0.0, DAY)
    account.close(hold, 160, 1.0, DAY)
    assert account.tokens_on(DAY.day) == 160
    assert dict(account.headers(limits, 1.0, DAY))[b"x-ratelimit-remaining-tokens"] == b"0"
    with pytest.raises(RateLimited) as caught:
        account.reserve(account.admit(limits, 2.0), limits, Estimate(1, 1, True), 2.0, DAY)
    wait = int(caught.value.headers["retry-after-ms"]) / 1000
    account.reserve(account.admit(limits, 2.0 + wait), limits, Estimate(1, 1, True), 2.0 + wait, DAY)


def test_a_request_that_names_no_length_takes_what_is_left_and_the_next_waits_for_it() -> None:
    account, limits = Account(), Limits(tokens_per_minute=1000)
    hold = account.admit(limits, 0.0)
    account.reserve(hold, limits, Estimate(20, 8192, False), 0.0, DAY)
    assert hold.reserved == 1000
    with pytest.raises(RateLimited) as caught:
        account.reserve(account.admit(limits, 0.1), limits, Estimate(20, 8192, False), 0.1, DAY)
    assert int(caught.value.headers["retry-after-ms"]) < 5000, "not a minute: the first gives most of it back"
    account.close(hold, 120, 1.0, DAY)
    account.reserve(account.admit(limits, 1.0), limits, Estimate(20, 8192, False), 1.0, DAY)


def test_a_request_that_never_fits_is_told_not_to_come_again() -> None:
    account, limits = Account(), Limits(tokens_per_minute=100)
    with pytest.raises(RateLimited, match="may take 150 tokens; the key may use 100") as caught:
        account.reserve(account.admit(limits, 0.0), limits, Estimate(50, 100, True), 0.0, DAY)
    assert caught.value.headers["x-should-retry"] == "false"


def test_a_used_up_day_is_a_quota_until_midnight() -> None:
    account, limits = Account(), Limits(tokens_per_day=100)
    hold = account.admit(limits, 0.0)
    account.reserve(hold, limits, Estimate(10, 85, True), 0.0, DAY)
    account.close(hold, 95, 1.0, DAY)
    with pytest.raises(QuotaExceeded) as caught:
        account.reserve(account.admit(limits, 2.0), limits, Estimate(5, 5, True), 2.0, DAY)
    assert caught.value.headers == {"retry-after": "3600", "retry-after-ms": "3600000", "x-should-retry": "false"}
    account.reserve(account.admit(limits, 3.0), limits, Estimate(5, 5, True), 3.0, Today(2, 86_400.0))


def test_a_day_that_is_only_reserved_is_worth_another_try() -> None:
    account, limits = Account(), Limits(tokens_per_day=100)
    hold = account.admit(limits, 0.0)
    account.reserve(hold, limits, Estimate(10, 90, True), 0.0, DAY)
    with pytest.raises(RateLimited) as caught:
        account.reserve(account.admit(limits, 0.0), limits, Estimate(5, 5, True), 0.0, DAY)
    assert caught.value.headers["x-should-retry"] == "true"
    account.close(hold, 20, 1.0, DAY)
    account.reserve(account.admit(limits, 1.0), limits, Estimate(5, 5, True), 1.0, DAY)


def test_a_clock_that_is_set_back_over_midnight_gives_no_second_quota() -> None:
    account, limits = Account(), Limits(tokens_per_day=100)
    for day in (1, 2, 1):
        hold = account.admit(limits, 0.0)
        estimate = Estimate(60, 0, True)
        if day == 1 and account.tokens_on(1):
            with pytest.raises(QuotaExceeded):
                account.reserve(hold, limits, estimate, 0.0, Today(day, 60.0))
        else:
            account.reserve(hold, limits, estimate, 0.0, Today(day, 60.0))
            account.close(hold, 60, 0.0, Today(day, 60.0))


def test_an_answer_over_midnight_belongs_to_the_day_it_began() -> None:
    account, limits = Account(), Limits(tokens_per_day=100)
    hold = account.admit(limits, 0.0)
    account.reserve(hold, limits, Estimate(10, 80, True), 0.0, Today(1, 1.0))
    account.close(hold, 40, 5.0, Today(2, 86_396.0))
    assert (account.tokens_on(1), account.tokens_on(2)) == (40, 0)


def test_recalled_tokens_count() -> None:
    account, limits = Account(), Limits(tokens_per_day=100)
    account.recall(DAY.day, 99)
    with pytest.raises(QuotaExceeded):
        account.reserve(account.admit(limits, 0.0), limits, Estimate(5, 5, True), 0.0, DAY)


def test_only_what_is_limited_has_headers() -> None:
    account = Account()
    assert account.headers(Limits(concurrent_requests=3), 0.0, DAY) == []
    assert dict(account.headers(Limits(tokens_per_day=9), 0.0, DAY)) == {
        b"x-ratelimit-limit-tokens": b"9",
        b"x-ratelimit-remaining-tokens": b"9",
        b"x-ratelimit-reset-tokens": b"1h0m0s",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-3, "0s"),
        (0.12, "120ms"),
        (0.9999, "1s"),
        (1, "1s"),
        (8.64, "8.64s"),
        (360, "6m0s"),
        (7205, "2h0m5s"),
    ],
)
def test_a_duration_is_written_as_openai_writes_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text
