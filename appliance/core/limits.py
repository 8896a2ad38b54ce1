"""A key's limits: take before the work, settle after it with what it really cost.

A reservation is taken in one synchronous step, so requests in parallel see
each other and cannot pass a limit together. What is taken: one request, one
place among the requests under way, and the most tokens the answer may have.
What is settled: the engine's own count, or an estimate where there is none; a
request that never reached the engine costs no tokens, one that was refused
for a limit costs nothing at all, and so the promised waiting times hold.

Tokens belong to the minute and the day in which they were reserved. Only what
an answer has beyond its reservation is booked when it becomes known.

Times are monotonic seconds and passed in. A day is a number that changes at
midnight, with the seconds that are left of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from appliance.core.window import Entry, Window
from appliance.errors import ApplianceError, QuotaExceeded, RateLimited

#: Days whose counters are kept: yesterday's too, for a clock that is set back over midnight.
KEPT_DAYS = 3
#: How long a request takes, until one has been measured.
FIRST_GUESS_SECONDS = 1.0
#: Of a prompt.
BYTES_A_TOKEN = 3
#: Shortest wait that a refused client is told.
MIN_WAIT_SECONDS = 0.05
_SMOOTHING = 0.2


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key may use; None for no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    tokens_per_day: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is limited."""
        return self == NO_LIMITS


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most tokens that a request may cost.

    Attributes:
        input_tokens: of the prompt.
        output_tokens: of all its answers together.
        is_asked: the client named the output's length itself. Where it did not, the output's part is only as
            large as what is left: the model's whole context would fit hardly any limit.
    """

    input_tokens: int
    output_tokens: int
    is_asked: bool

    @classmethod
    def of(cls, payload_bytes: int, asked_tokens: int | None, longest_tokens: int) -> Self:
        """Estimate without the model's tokenizer.

        A token of English is four bytes long, of Korean three to six; JSON's framing, the tools and the
        schema are counted along. So a prompt is seldom longer than this says, and what it is longer is
        booked when it becomes known.

        Args:
            payload_bytes: of the request.
            asked_tokens: the most tokens of all answers together, None if the client did not say.
            longest_tokens: the most that they can have at all.
        """
        prompt = payload_bytes // BYTES_A_TOKEN + 1
        if asked_tokens is None:
            return cls(prompt, longest_tokens, is_asked=False)
        return cls(prompt, asked_tokens, is_asked=True)


@dataclass(frozen=True, slots=True)
class Today:
    """The box's local calendar day.

    Attributes:
        day: number of the day.
        seconds_left: until midnight.
    """

    day: int
    seconds_left: float


class Hold:
    """What one request has taken of its account."""

    __slots__ = ("day", "entry", "is_open", "request", "reserved", "settled", "started")

    def __init__(self, request: Entry, started: float) -> None:
        self.request = request
        self.started = started
        self.is_open = True
        self.settled = False
        self.reserved = 0
        self.day = 0
        self.entry: Entry | None = None


class Account:
    """The state of one key's limits; the keys of a rotation share it."""

    __slots__ = ("_days", "_in_flight", "_mean_seconds", "_requests", "_reserved", "_tokens")

    def __init__(self) -> None:
        self._requests = Window()
        self._tokens = Window()
        self._days: dict[int, int] = {}
        self._in_flight = 0
        #: Tokens of requests under way, part of the window's and the day's.
        self._reserved = 0
        self._mean_seconds = FIRST_GUESS_SECONDS

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._in_flight

    def tokens_on(self, day: int) -> int:
        """Tokens booked on a day."""
        return self._days.get(day, 0)

    def tokens_last_minute(self, now: float) -> int:
        """Tokens booked within the last minute."""
        self._tokens.expire(now)
        return self._tokens.total

    def recall(self, day: int, tokens: int) -> None:
        """Start a day from what is known of it, as after a restart."""
        self._book_day(day, tokens - self.tokens_on(day))

    def admit(self, limits: Limits, now: float) -> Hold:
        """Take one request, or raise RateLimited with the time after which to come again."""
        self._requests.expire(now)
        most = limits.concurrent_requests
        if most is not None and self._in_flight >= most:
            raise _too_soon(
                f"{self._in_flight} requests of this key are under way; it may have {most} at once.",
                self._mean_seconds / max(1, self._in_flight),
            )
        rate = limits.requests_per_minute
        if rate is not None and self._requests.total >= rate:
            raise _too_soon(
                f"This key may send {rate} requests a minute.",
                self._requests.wait_seconds(self._requests.total - rate + 1, now),
            )
        self._in_flight += 1
        return Hold(self._requests.book(1, now), now)

    def reserve(self, hold: Hold, limits: Limits, estimate: Estimate, now: float, today: Today) -> None:
        """Take the tokens that the request may cost, of the minute and of the day.

        A request that is refused here gives back what it took before.

        Raises:
            RateLimited: the minute's tokens do not suffice, or other requests of the key hold the day's.
            QuotaExceeded: the day's tokens do not suffice.
        """
        self._tokens.expire(now)
        try:
            tokens = self._fit_day(limits.tokens_per_day, estimate, today)
            tokens = min(tokens, self._fit_minute(limits.tokens_per_minute, estimate, now))
        except ApplianceError:
            self._requests.give_back(hold.request, 1)
            self._leave(hold)
            raise
        hold.entry = self._tokens.book(tokens, now)
        hold.reserved = tokens
        hold.day = today.day
        self._book_day(today.day, tokens)
        self._reserved += tokens

    def settle(self, hold: Hold, tokens: int, now: float, today: Today) -> None:
        """Put what the request really cost in the place of what it reserved; the first time only."""
        if hold.settled or hold.entry is None:
            return
        hold.settled = True
        self._reserved -= hold.reserved
        self._tokens.expire(now)
        over = tokens - hold.reserved
        if over > 0:
            self._tokens.book(over, now)
            self._book_day(today.day, over)
        elif over < 0:
            self._tokens.give_back(hold.entry, -over)
            self._book_day(hold.day, over)

    def close(self, hold: Hold, tokens: int, now: float, today: Today) -> None:
        """End a request: settle it if that is still to do, and free its place."""
        self.settle(hold, tokens, now, today)
        if hold.is_open:
            self._mean_seconds += _SMOOTHING * (now - hold.started - self._mean_seconds)
            self._leave(hold)

    def headers(self, limits: Limits, now: float, today: Today) -> list[tuple[bytes, bytes]]:
        """The ``x-ratelimit-*`` headers. Where only the day's tokens are limited the token headers speak of the day.

        Source: OpenAI API reference, "Rate limits", "Rate limits in headers".
        """
        headers: list[tuple[bytes, bytes]] = []
        if limits.requests_per_minute is not None:
            self._requests.expire(now)
            left = limits.requests_per_minute - self._requests.total
            headers = _headers(_REQUESTS, limits.requests_per_minute, left, self._requests.reset_seconds(now))
        if limits.tokens_per_minute is not None:
            self._tokens.expire(now)
            left = limits.tokens_per_minute - self._tokens.total
            headers += _headers(_TOKENS, limits.tokens_per_minute, left, self._tokens.reset_seconds(now))
        elif limits.tokens_per_day is not None:
            left = limits.tokens_per_day - self.tokens_on(today.day)
            headers += _headers(_TOKENS, limits.tokens_per_day, left, today.seconds_left)
        return headers

    def _fit_day(self, most: int | None, estimate: Estimate, today: Today) -> int:
        wanted = estimate.input_tokens + estimate.output_tokens
        if most is None:
            return wanted
        left = most - self.tokens_on(today.day)
        needed = wanted if estimate.is_asked else estimate.input_tokens + 1
        if needed <= left:
            return min(wanted, left)
        if needed <= left + self._reserved:
            raise _too_soon(
                "Other requests of this key hold the rest of its tokens for today.", self._mean_seconds, "max_tokens"
            )
        raise QuotaExceeded(
            f"This request may take {needed} tokens; {max(0, left)} of the key's {most} for today are left.",
            headers={**_retry_headers(today.seconds_left), "x-should-retry": "false"},
        )

    def _fit_minute(self, most: int | None, estimate: Estimate, now: float) -> int:
        wanted = estimate.input_tokens + estimate.output_tokens
        if most is None:
            return wanted
        needed = wanted if estimate.is_asked else estimate.input_tokens + 1
        if needed > most:
            raise RateLimited(
                f"This request may take {needed} tokens; the key may use {most} a minute.",
                remedy="Shorten the prompt or lower max_tokens.",
                param="max_tokens",
                headers={"x-should-retry": "false"},
            )
        left = most - self._tokens.total
        if needed <= left:
            return min(wanted, left)
        wait = self._tokens.wait_seconds(needed - left, now)
        if needed <= left + self._reserved:
            # What runs now will give back most of what it reserved when it ends.
            wait = min(wait, self._mean_seconds)
        raise _too_soon(f"This key may use {most} tokens a minute; {max(0, left)} are left.", wait)

    def _book_day(self, day: int, tokens: int) -> None:
        if day in self._days:
            self._days[day] += tokens
        elif tokens > 0:  # a day that was forgotten gets nothing back
            self._days[day] = tokens
            if len(self._days) > KEPT_DAYS:
                del self._days[next(iter(self._days))]

    def _leave(self, hold: Hold) -> None:
        if hold.is_open:
            hold.is_open = False
            self._in_flight -= 1


def duration(seconds: float) -> str:
    """A time in the form of OpenAI's headers: ``120ms``, ``8.64s``, ``6m0s``, ``2h0m5s``; rounded up to the ms."""
    milliseconds = max(0, math.ceil(seconds * 1000))
    if milliseconds == 0:
        return "0s"
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:g}s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _too_soon(message: str, wait_seconds: float, param: str | None = None) -> RateLimited:
    headers = {**_retry_headers(max(MIN_WAIT_SECONDS, wait_seconds)), "x-should-retry": "true"}
    return RateLimited(message, param=param, headers=headers)


def _retry_headers(seconds: float) -> dict[str, str]:
    return {"retry-after": str(math.ceil(seconds)), "retry-after-ms": str(math.ceil(seconds * 1000))}


def _names(unit: bytes) -> tuple[bytes, bytes, bytes]:
    return b"x-ratelimit-limit-" + unit, b"x-ratelimit-remaining-" + unit, b"x-ratelimit-reset-" + unit


_REQUESTS, _TOKENS = _names(b"requests"), _names(b"tokens")


def _headers(
    names: tuple[bytes, bytes, bytes], limit: int, left: int, reset_seconds: float
) -> list[tuple[bytes, bytes]]:
    most, remaining, reset = names
    return [
        (most, b"%d" % limit),
        (remaining, b"%d" % max(0, left)),
        (reset, duration(reset_seconds).encode()),
    ]
