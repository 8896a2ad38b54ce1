"""The process: uvicorn on the public listener, with what is safe for an open port, and the admin listener beside it."""

from __future__ import annotations

import asyncio
import errno
import gc
import resource
import signal
import socket
import time
from typing import cast

import uvicorn

from appliance import logs
from appliance.errors import PortTaken, SettingsInvalid
from appliance.gateway import admin, tenure
from appliance.gateway.admin_server import AdminServer
from appliance.gateway.app import compose
from appliance.gateway.asgi import ASGIApp
from appliance.gateway.engine_metrics import EngineMetrics
from appliance.gateway.exposition import Exposition
from appliance.gateway.handshake import Handshake, Handshakes
from appliance.gateway.metrics import Metrics
from appliance.gateway.protocol import GatewayProtocol
from appliance.gateway.public_server import PublicServer
from appliance.gateway.tls import Certificate
from appliance.notify import Notifier
from appliance.settings import Settings, notify_socket, watchdog_seconds

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
        AlreadyRunning: another gateway serves the state directory.
        CertificateUnusable: the certificate or the key of TLS.
        PortTaken: another process listens on one of the ports.
        SettingsInvalid: an address is not one of this machine.
    """
    gateway = settings.gateway
    certificate = _certificate(settings)
    listener = bind(gateway.host, gateway.port)
    admin_listener = bind(gateway.admin_host, gateway.admin_port, "admin_") if gateway.admin_host else None
    with tenure.held(settings.state_dir.absolute()):
        _serve(settings, listener, admin_listener, certificate)
    _log.info("gateway stopped")


def _certificate(settings: Settings) -> Certificate | None:
    paths = (settings.gateway.tls_certificate_path, settings.gateway.tls_key_path)
    return None if paths[0] is None or paths[1] is None else Certificate(paths[0], paths[1], time.time())


def _serve(
    settings: Settings,
    listener: socket.socket,
    admin_listener: socket.socket | None,
    certificate: Certificate | None,
) -> None:
    gateway = settings.gateway
    _log.info("gateway listens", address=gateway.host, port=gateway.port, socket=str(settings.socket_path))
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops by these and then raises them again for whoever stood here before: a stop that was
        # asked for is no failure.
        signal.signal(number, lambda *_: None)
    metrics = Metrics()
    config = configure(settings, compose(settings, metrics), metrics)
    handshakes = None if certificate is None else secure(config, certificate)
    public = PublicServer(config, Notifier(notify_socket()), watchdog_seconds(), certificate, handshakes)
    metrics.watch(connections_open=lambda: len(public.server_state.connections) + len(handshakes or ()))
    # What lives as long as the process is not looked at again by the collector, and what a request leaves is
    # freed by reference counts: the default of a collection every 700 objects took a fifth of the processor.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    with asyncio.Runner(loop_factory=public.config.get_loop_factory()) as runner:
        if admin_listener is None:
            runner.run(public.serve(sockets=[listener]))
        else:
            runner.run(beside(settings, metrics, admin_listener).beside(public, listener))


def beside(settings: Settings, metrics: Metrics, listener: socket.socket) -> AdminServer:
    """The admin listener's server."""
    pages = admin.compose(Exposition(metrics), EngineMetrics(settings.socket_path), settings.gateway.allowed_hosts)
    return AdminServer(pages, listener)


def configure(settings: Settings, app: ASGIApp, metrics: Metrics | None = None) -> uvicorn.Config:
    """How uvicorn serves the application.

    Args:
        settings: the whole tree.
        app: the public listener's application.
        metrics: count what never reaches it.
    """
    metrics = metrics or Metrics()
    gateway = settings.gateway
    affordable = _affordable_connections(gateway.max_connections)
    metrics.watch(connections_limit=lambda: affordable)
    limits = {
        "max_connections": affordable,
        "max_header_bytes": gateway.max_header_bytes,
        "write_timeout_seconds": gateway.write_timeout_seconds,
        "on_refusal": staticmethod(metrics.refused),
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


def secure(config: uvicorn.Config, certificate: Certificate) -> Handshakes:
    """Have uvicorn answer over TLS, and in no other way; returns the account of its handshakes.

    Args:
        config: as :func:`configure` makes it.
        certificate: what to answer with.
    """
    config.load()
    protocol = cast("type[GatewayProtocol]", config.http_protocol_class)
    handshakes = Handshakes(protocol.max_connections)
    parts = {"protocol": protocol, "context": certificate.context, "account": handshakes}
    config.http_protocol_class = type("SecureProtocol", (Handshake,), parts)
    return handshakes


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


def bind(host: str, port: int, listener_name: str = "") -> socket.socket:
    """A listening socket, taken before anything else is started.

    Args:
        host: the address.
        port: 0 for any free one.
        listener_name: how its settings begin: nothing, or ``admin_``.

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
            variable = f"APPLIANCE_GATEWAY__{listener_name.upper()}PORT"
            raise PortTaken(
                f"Port {port} is taken by another process.",
                remedy=f"Stop that process, or choose another port with {variable}.",
            ) from None
        name = f"gateway.{listener_name}"
        raise SettingsInvalid(
            f"The gateway cannot listen on {host} port {port}: {err.strerror}.",
            remedy=f"Set {name}host to an address of this machine and {name}port to one this user may use.",
        ) from None
    return listener
