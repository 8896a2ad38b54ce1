"""The admin listener's application: metrics for Prometheus.

It needs no key, so it is bound to loopback unless somebody decides otherwise,
and answers only to hosts that no web page can borrow (DNS rebinding): an IP
address, this machine's own name, or a name that the settings list.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Mapping

from appliance.errors import MethodNotAllowed, RouteNotFound, UntrustedHost
from appliance.gateway.asgi import ASGIApp, Receive, Scope, Send, respond
from appliance.gateway.engine_metrics import EngineMetrics
from appliance.gateway.exposition import CONTENT_TYPE, Exposition
from appliance.gateway.failures import Failures

# An IPv6 address in brackets or a name, and maybe a port (RFC 9110, section 7.2).
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?")
METRICS = "/metrics"
ENGINE_METRICS = "/metrics/engine"
PATHS = (METRICS, ENGINE_METRICS)


def compose(exposition: Exposition, engine: EngineMetrics, allowed_hosts: tuple[str, ...]) -> ASGIApp:
    """The admin listener's application.

    Args:
        exposition: the gateway's own metrics.
        engine: the engine's.
        allowed_hosts: host names besides those that are always ours; ``*`` adds none.
    """
    pages = {METRICS: exposition.text, ENGINE_METRICS: engine.text}
    return Failures(AdminHosts(Pages(pages), allowed_hosts), label)


def label(path: str) -> str:
    """The route of a path for the log: a fixed name, never what a client wrote."""
    return path if path in PATHS else "(unknown)"


class AdminHosts:
    """Refuse a request whose Host header could be a stranger's name for this machine.

    Args:
        app: the layers inside.
        allowed: more names, without port; ``*`` adds none.
    """

    def __init__(self, app: ASGIApp, allowed: tuple[str, ...]) -> None:
        self.app = app
        self._names = {name.lower() for name in (*allowed, "localhost", socket.gethostname()) if name != "*"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the host, then pass on; raises UntrustedHost."""
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not self._is_ours(hosts[0].decode("latin-1").strip().lower()):
                raise UntrustedHost
        await self.app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        form = _HOST.fullmatch(host)
        return form is not None and (form[2] in self._names or _is_address(form[1] or form[2]))


class Pages:
    """Texts by path, for GET.

    Args:
        pages: what writes each.
    """

    def __init__(self, pages: Mapping[str, Callable[[], Awaitable[bytes]]]) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises RouteNotFound, MethodNotAllowed and what the page raises."""
        write = self._pages.get(scope["path"])
        if write is None:
            raise RouteNotFound(remedy=f"The admin listener has {' and '.join(self._pages)}.")
        if scope["method"] != "GET":
            raise MethodNotAllowed(headers={"allow": "GET"})
        await respond(send, 200, await write(), [(b"cache-control", b"no-store")], CONTENT_TYPE)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
