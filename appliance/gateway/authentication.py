"""Who asks: an API key on every route but health, decided on the ASGI path alone.

Never on a URL put together from the Host header (CVE-2026-48746, CVE-2026-48710).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from appliance.errors import MissingKey
from appliance.gateway import exchange
from appliance.gateway.asgi import ASGIApp, Receive, Scope, Send
from appliance.gateway.keyring import KeyRing

_BEARER = b"bearer "


class Authenticate:
    """Let a request pass with a usable key.

    Args:
        app: the layers inside.
        keys: the keys.
        open_paths: paths that need none.
        clock: Unix seconds.
    """

    def __init__(
        self, app: ASGIApp, keys: KeyRing, open_paths: frozenset[str], clock: Callable[[], float] = time.time
    ) -> None:
        self.app = app
        self._keys = keys
        self._open_paths = open_paths
        self._clock = clock
        self._looked = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Authenticate, then pass on.

        Raises:
            MissingKey: there is no usable Authorization header.
            InvalidKey: the key is unknown, revoked or expired.
            KeysUnavailable: the key is not known, and the database cannot be asked.
        """
        if scope["type"] == "http" and scope["path"] not in self._open_paths:
            key = self._keys.authenticate(_presented(scope), self._clock(), looked=self._looked)
            if not self._looked:
                # Requests of one turn of the loop arrived together: they share one look at the database.
                self._looked = True
                asyncio.get_running_loop().call_soon(self._look_again)
            this = exchange.of(scope)
            this.grant = key
            this.key_id = key.key_id
            this.app = key.app
            this.priority = key.priority
        await self.app(scope, receive, send)

    def _look_again(self) -> None:
        self._looked = False


def _presented(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(values) != 1 or not values[0][: len(_BEARER)].lower() == _BEARER:
        raise MissingKey(headers={"www-authenticate": 'Bearer realm="appliance"'})
    return str(values[0][len(_BEARER) :].strip(), "latin-1")
