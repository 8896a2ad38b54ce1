"""The process: uvicorn on the public listener, with what is safe for an open port."""

from __future__ import annotations

import errno
import gc
import resource
import signal
import socket

import uvicorn

from appliance import logs
from appliance.errors import PortTaken, SettingsInvalid
from appliance.gateway.app import compose
from appliance.gateway.asgi import ASGIApp
from appliance.gateway.protocol import GatewayProtocol
from appliance.settings import Settings

_log = logs.get(__name__)
#: Connections the kernel holds before they are accepted; a burst of apps fits.
BACKLOG = 2048
#: Descriptors that are no client's: the engine's connections, the databases, the process's own.
OTHER_DESCRIPTORS = 768
#: Longer than an app's pause between two questions, so that it keeps its connection.
KEEP_ALIVE_SECONDS = 75
#: Objects until the collector looks at the young ones, and at the older ones after so many times.
COLLECT_AFTER = (20_000, 20, 20)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; running answers get ``gateway.shutdown_grace_seconds`` to finish.

    Raises:
        PortTaken: another process listens on the port.
        SettingsInvalid: the address is not one of this machine.
    """
    gateway = settings.gateway
    listener = bind(gateway.host, gateway.port)
    _log.info("gateway listens", address=gateway.host, port=gateway.port, socket=str(settings.socket_path))
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops by these and then raises them again for whoever stood here before: a stop that was
        # asked for is no failure.
        signal.signal(number, lambda *_: None)
    app = compose(settings)
    # What lives as long as the process is not looked at again by the collector, and what a request leaves is
    # freed by reference counts: the default of a collection every 700 objects took a fifth of the processor.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    uvicorn.Server(configure(settings, app)).run(sockets=[listener])
    _log.info("gateway stopped")


def configure(settings: Settings, app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves the application."""
    gateway = settings.gateway
    limits = {
        "max_connections": _affordable_connections(gateway.max_connections),
        "max_header_bytes": gateway.max_header_bytes,
        "write_timeout_seconds": gateway.write_timeout_seconds,
    }
    protocol = type("Protocol", (GatewayProtocol,), limits)
    return uvicorn.Config(
        app,
        http=protocol,
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        # Nobody stands between: a client's X-Forwarded-For is only what it claims.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(gateway.shutdown_grace_seconds),
        backlog=BACKLOG,
    )


def _affordable_connections(wanted: int) -> int:
    """As many connections as are wanted and as file descriptors allow, after raising their soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The protocol cuts off at half as many again.
    needed = wanted * 3 // 2 + OTHER_DESCRIPTORS
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    affordable = max(1, min(wanted, (soft - OTHER_DESCRIPTORS) * 2 // 3))
    if affordable < wanted:
        _log.warning("fewer connections than set: too few file descriptors", count=affordable)
    return affordable


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything else is started.

    Raises:
        PortTaken: another process listens there.
        SettingsInvalid: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # only now is the address taken for sure
    except OSError as err:
        listener.close()
        if err.errno == errno.EADDRINUSE:
            raise PortTaken(f"Port {port} is taken by another process.") from None
        raise SettingsInvalid(
            f"The gateway cannot listen on {host} port {port}: {err.strerror}.",
            remedy="Set gateway.host to an address of this machine and gateway.port to one this user may use.",
        ) from None
    return listener
