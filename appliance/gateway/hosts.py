"""The host names the appliance answers to (against DNS rebinding: a page in a browser on the LAN)."""

from __future__ import annotations

from appliance.errors import UntrustedHost
from appliance.gateway.asgi import ASGIApp, Receive, Scope, Send


class TrustedHosts:
    """Refuse a request whose Host header is not one of ours.

    Args:
        app: the layers inside.
        allowed: names without port, lower case; ``*`` for any.
    """

    def __init__(self, app: ASGIApp, allowed: tuple[str, ...]) -> None:
        self.app = app
        self._any = "*" in allowed
        self._allowed = frozenset(name.lower().encode() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the host, then pass on; raises UntrustedHost."""
        if scope["type"] == "http" and not self._any:
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or _without_port(hosts[0]) not in self._allowed:
                raise UntrustedHost
        await self.app(scope, receive, send)


def _without_port(host: bytes) -> bytes:
    name = host.strip().lower()
    if name.startswith(b"["):
        inside, bracket, _port = name.partition(b"]")
        return inside + bracket
    return name.partition(b":")[0]
