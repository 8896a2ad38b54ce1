"""The limits layer: what a key may use, taken before the work and settled after it.

Only requests that make work count (POST); a listing costs nothing. State
changes in single steps of the event loop, so requests in parallel cannot pass
a limit together.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from appliance.core.limits import Account, Today
from appliance.errors import EngineTimeout
from appliance.gateway import exchange
from appliance.gateway.asgi import ASGIApp, Receive, Scope, Send
from appliance.gateway.day_use import DayUse
from appliance.gateway.lease import Lease
from appliance.gateway.local_day import LocalDay


class Limit:
    """Hold each limited key to its limits.

    Args:
        app: the layers inside.
        use: the day's tokens on disk.
        clock: monotonic seconds.
        today: the local calendar day.
    """

    def __init__(
        self,
        app: ASGIApp,
        use: DayUse,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], Today] | None = None,
    ) -> None:
        self.app = app
        self._use = use
        self._clock = clock
        self._today = today or LocalDay()
        self._accounts: dict[str, Account] = {}
        for name, days in use.load(self._today().day).items():
            for day, tokens in days.items():
                self._account(name).recall(day, tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request, pass on, settle.

        Raises:
            RateLimited: the key has too many requests under way, or in this minute.
        """
        key = exchange.of(scope).grant if scope["type"] == "http" else None
        if key is None or key.limits.is_empty:
            await self.app(scope, receive, send)
            return
        this = exchange.of(scope)
        this.lease = lease = Lease(key, self._account(key.account), self._use, self._clock, self._today)
        if scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        lease.begin()
        timed_out = False
        try:
            await self.app(scope, receive, send)
        except EngineTimeout:
            timed_out = True
            raise
        finally:
            # What the engine refused, or was gone for, it did not work on.
            lease.close(this.usage, worked=this.engine_started > 0 and (this.cancelled or timed_out))

    def _account(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = Account()
        return account
