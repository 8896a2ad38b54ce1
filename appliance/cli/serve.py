"""``appliance serve``: engine, gateway and exporter in the foreground, as processes of their own as on a box."""

from __future__ import annotations

import http.client
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer

from appliance import lockfile
from appliance.cli import exporter, interrupt, own_listener, state
from appliance.cli.children import Children
from appliance.cli.state import StateDir
from appliance.core.backoff import Backoff
from appliance.engine import hardware
from appliance.errors import AlreadyRunning, EngineStartFailed, StateUnusable
from appliance.settings import Settings

#: How a process of the appliance is started; the command's name follows.
APPLIANCE = (sys.executable, "-m", "appliance")
#: Somebody waits at the terminal: an engine that cannot start says so instead of trying for ever.
ENGINE_OPTIONS = ("--start-attempts", "3")
_POLL_SECONDS = 0.25
_PROBE_TIMEOUT_SECONDS = 5.0
#: Beyond its grace for running answers a process needs a moment to end by itself.
EXTRA_GRACE_SECONDS = 5.0
#: Pauses before an exporter that ended is started again.
EXPORTER_BACKOFF = Backoff(first_seconds=5.0, max_seconds=300.0)
_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def serve(
    state_dir: StateDir = None,
    log_files: Annotated[
        bool, typer.Option("--log-files", help="Write the logs to <state-dir>/log/ instead of the terminal.")
    ] = False,
) -> None:
    """Run engine, gateway and, with a GPU, its exporter in the foreground until Ctrl-C or SIGTERM.

    Example: appliance serve --state-dir ./.state/demo
    """
    tree = state.load(state_dir)
    try:
        with interrupt.raised(), hold(tree), Children() as children:
            started = time.monotonic()
            logs = log_dir(tree) if log_files else None
            start_exporter(children, tree, logs)
            start(children, tree, logs)
            wait_until_ready(children, tree)
            typer.echo(f"ready after {time.monotonic() - started:.0f} s: {base_url(tree)}", err=True)
            keep(children)
    except interrupt.Interrupted as stop:
        # A service manager's SIGTERM is the normal end of a service.
        raise typer.Exit(0 if stop.signum == signal.SIGTERM else stop.exit_code) from None


def start_exporter(children: Children, tree: Settings, logs: Path | None) -> None:
    """Start the GPU exporter where there is a GPU; nothing depends on it.

    A GPU whose driver does not answer counts: then the exporter is what says why.

    Args:
        children: takes it, and starts it again if it ends.
        tree: says where it listens.
        logs: folder of its log file, None for the terminal.
    """
    if not hardware.nvidia_sign():
        typer.echo("No NVIDIA GPU in this machine: the GPU exporter is not started.", err=True)
        return
    children.start(
        "exporter",
        exporter.line(tree, dcgm_names=False),
        EXTRA_GRACE_SECONDS,
        logs / "exporter.log" if logs else None,
        EXPORTER_BACKOFF,
    )


def start(children: Children, tree: Settings, logs: Path | None) -> None:
    """Start the two processes; the engine first, so that the gateway stops first.

    Args:
        children: takes them.
        tree: the settings they are to run with; environment and settings file are inherited, the state directory given.
        logs: folder of their log files, None for the terminal.
    """
    graces = {"engine": tree.engine.shutdown_grace_seconds, "gateway": tree.gateway.shutdown_grace_seconds}
    for name, grace_seconds in graces.items():
        children.start(
            name,
            [
                *APPLIANCE,
                name,
                "--state-dir",
                str(tree.state_dir.absolute()),
                *(ENGINE_OPTIONS if name == "engine" else ()),
            ],
            grace_seconds + EXTRA_GRACE_SECONDS,
            logs / f"{name}.log" if logs else None,
        )


def wait_until_ready(children: Children, tree: Settings, tick: Callable[[], None] = lambda: None) -> None:
    """Wait until the gateway says that a real generation succeeded.

    Args:
        children: watched meanwhile.
        tree: says where the gateway listens and how long the engine may take.
        tick: called a few times a second.

    Raises:
        ProcessEnded: one of the children ended.
        EngineStartFailed: it took longer than ``engine.startup_timeout_seconds``.
    """
    deadline = time.monotonic() + tree.engine.startup_timeout_seconds
    while not is_ready(tree):
        children.check()
        tick()
        if time.monotonic() > deadline:
            raise EngineStartFailed(
                f"The model generated nothing within {tree.engine.startup_timeout_seconds:.0f} s.",
                remedy="The engine's log has the reason; a slow machine needs a longer engine.startup_timeout_seconds.",
            )
        time.sleep(_POLL_SECONDS)


def keep(children: Children) -> None:
    """Watch until one ends by itself; a stop signal is what normally ends this.

    Raises:
        ProcessEnded: one of the children ended.
    """
    while True:
        children.check()
        time.sleep(_POLL_SECONDS)


def is_ready(tree: Settings) -> bool:
    """Whether ``GET /health/ready`` answers 200 now."""
    address = (reachable_host(tree.gateway.host), tree.gateway.port)
    trust = own_listener.trust(tree)
    connection = (
        http.client.HTTPConnection(*address, timeout=_PROBE_TIMEOUT_SECONDS)
        if trust is None
        else http.client.HTTPSConnection(*address, timeout=_PROBE_TIMEOUT_SECONDS, context=trust)
    )
    return answers(connection, "/health/ready")


def answers(connection: http.client.HTTPConnection, path: str) -> bool:
    """Whether ``GET path`` gives 200; the connection is closed after it."""
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def base_url(tree: Settings) -> str:
    """What an app on this machine puts in as ``base_url``."""
    host = reachable_host(tree.gateway.host)
    return f"{own_listener.scheme(tree)}://{f'[{host}]' if ':' in host else host}:{tree.gateway.port}/v1"


def reachable_host(host: str) -> str:
    """Where to reach, from this machine, a listener that is bound to ``host``."""
    return _ANY_ADDRESS.get(host, host)


def log_dir(tree: Settings) -> Path:
    """Folder of the log files."""
    return tree.state_dir.absolute() / "log"


@contextmanager
def hold(tree: Settings) -> Iterator[None]:
    """Keep the state directory to this command alone; made if missing. The kernel lets go when the process ends.

    Raises:
        AlreadyRunning: another ``serve`` or ``demo`` holds it.
        StateUnusable: it cannot be written.
    """
    path = tree.state_dir.absolute() / "serve.lock"
    try:
        file = lockfile.acquire(path)
    except BlockingIOError:
        raise AlreadyRunning(
            f"Another `appliance serve` or `demo` runs in {path.parent}.",
            remedy="Stop that one first, or give another --state-dir and port.",
        ) from None
    except OSError as err:
        raise StateUnusable(f"The state directory {path.parent} cannot be used: {err.strerror}.") from None
    with file:
        yield
