"""One request's hold on its key's limits, as the other layers see it."""

from __future__ import annotations

from collections.abc import Callable

from appliance.core.api_key import ApiKey
from appliance.core.event_stream import Usage
from appliance.core.limits import Account, Estimate, Hold, Today
from appliance.gateway.day_use import DayUse


class Lease:
    """A request of a limited key. It holds nothing before :meth:`begin`, as one that costs nothing never does.

    Args:
        key: whose limits.
        account: their state.
        use: the day's tokens on disk.
        clock: monotonic seconds.
        today: the local calendar day.
    """

    __slots__ = ("_account", "_clock", "_estimate", "_hold", "_key", "_today", "_use")

    def __init__(
        self, key: ApiKey, account: Account, use: DayUse, clock: Callable[[], float], today: Callable[[], Today]
    ) -> None:
        self._key = key
        self._account = account
        self._use = use
        self._clock = clock
        self._today = today
        self._hold: Hold | None = None
        self._estimate: Estimate | None = None

    def begin(self) -> None:
        """Take one request and a place among those under way; raises RateLimited."""
        self._hold = self._account.admit(self._key.limits, self._clock())

    def reserve_tokens(self, estimate: Estimate) -> int | None:
        """Take the tokens that the request may cost; once, before the engine sees it.

        Returns:
            How many of them are the answers', None if no limit counts tokens.

        Raises:
            RateLimited: the key has too few left in this minute.
            QuotaExceeded: it has too few left today.
        """
        if self._hold is not None:
            self._account.reserve(self._hold, self._key.limits, estimate, self._clock(), self._today())
            self._estimate = estimate
            self._note()
            limits = self._key.limits
            if limits.tokens_per_minute is not None or limits.tokens_per_day is not None:
                return max(1, self._hold.reserved - estimate.input_tokens)
        return None

    def headers(self, usage: Usage | None) -> list[tuple[bytes, bytes]]:
        """The ``x-ratelimit-*`` headers at this moment.

        Args:
            usage: the request's, where it is known before the answer goes out: then they are exact, else they
                count all that is reserved.
        """
        now, today = self._clock(), self._today()
        if usage is not None and self._hold is not None:
            self._account.settle(self._hold, self._cost(usage), now, today)
        return self._account.headers(self._key.limits, now, today)

    def close(self, usage: Usage | None, *, worked: bool) -> None:
        """Settle and end.

        Args:
            usage: what it used as far as the engine told, None if it told nothing.
            worked: whether the engine may have worked on it without telling: then the prompt counts, by the
                estimate, and no answer, of which nothing arrived. If not, it costs no tokens.
        """
        if self._hold is None:
            return
        tokens = 0
        if usage is not None:
            tokens = self._cost(usage)
        elif worked and self._estimate is not None:
            tokens = self._estimate.input_tokens
        self._account.close(self._hold, tokens, self._clock(), self._today())
        self._note()

    def _cost(self, usage: Usage) -> int:
        tokens = usage.input_tokens + usage.output_tokens
        if usage.source == "counted" and self._estimate is not None:
            # Events were counted, one token each or a few (speculative decoding), and the prompt was not.
            tokens += self._estimate.input_tokens
        return tokens

    def _note(self) -> None:
        if self._key.limits.tokens_per_day is None or self._hold is None or self._hold.entry is None:
            return
        name, today = self._key.account, self._today().day
        self._use.note(name, today, self._account.tokens_on(today))
        if today != self._hold.day:  # midnight came meanwhile
            self._use.note(name, self._hold.day, self._account.tokens_on(self._hold.day))
