"""Who waits at the other end of a request: whether all of it has come, and whether its client has gone.

ASGI tells both through ``receive``, which costs a task and two turns of the
loop a request. The connection knows them anyway, so it says so in the scope;
behind another ASGI server a task listens instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appliance.gateway.asgi import Receive, Scope

_SLOT = "appliance.caller"
Listener = Callable[["Caller"], None]


class Caller:
    """The client of one request. Everything happens in the event loop's thread.

    Attributes:
        sent_all: the whole request is here, so that reading it waits for nothing.
    """

    __slots__ = ("_gone", "_listeners", "_watching", "sent_all")

    def __init__(self) -> None:
        self.sent_all = False
        self._gone = False
        self._listeners: list[Listener] = []
        self._watching: asyncio.Task[None] | None = None

    @property
    def has_gone(self) -> bool:
        """Whether it closed its connection."""
        return self._gone

    def on_leave(self, listener: Listener) -> None:
        """Have ``listener`` called once the client leaves; soon, if it has."""
        if self._gone:
            asyncio.get_running_loop().call_soon(listener, self)
        else:
            self._listeners.append(listener)

    def forget(self, listener: Listener) -> None:
        """Call ``listener`` no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def leave(self) -> None:
        """The connection was closed."""
        self._gone = True
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(self)

    def watch(self, receive: Receive) -> None:
        """Listen for the end where the connection says nothing: until :meth:`close`."""
        self._watching = asyncio.ensure_future(self._listen(receive))

    def close(self) -> None:
        """The request is over."""
        if self._watching is not None:
            self._watching.cancel()

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.leave()


def attach(scope: Scope, caller: Caller) -> None:
    """Make the caller known to the application."""
    scope[_SLOT] = caller


def of(scope: Scope) -> Caller | None:
    """The caller of this request, None behind a server that does not tell."""
    caller: Caller | None = scope.get(_SLOT)
    return caller
