"""The process: ``python -m appliance.exporter``, which ``appliance exporter`` becomes.

It takes its settings as arguments and imports as little as it can, because it
runs on every box for ever beside a model that wants the memory.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from dataclasses import dataclass

from appliance import logs
from appliance.errors import ApplianceError
from appliance.exporter import collectors, dcgm
from appliance.exporter.metrics import render
from appliance.exporter.nvml import Library
from appliance.exporter.reader import Reader
from appliance.exporter.server import Server
from appliance.exporter.survey import Survey
from appliance.exporter.xid_watch import XidLedger
from appliance.notify import Heartbeat, Notifier

_log = logs.get(__name__)


@dataclass(frozen=True)
class LogChoice:
    """How to log: the two fields of ``settings.log``."""

    format: str
    level: str


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        argv: arguments; by default this process's.

    Returns:
        The exit status: 0 after a stop signal.
    """
    options = _options(argv)
    logs.configure(LogChoice(options.log_format, options.log_level))  # type: ignore[arg-type]
    reader = Reader(Survey(Library(), collectors.standard(), XidLedger()))

    def scrape() -> bytes:
        samples = reader.samples()
        return render([*samples, *dcgm.renamed(samples)] if options.dcgm_names else samples)

    notifier = Notifier(options.notify_socket)
    heart = Heartbeat(notifier, options.watchdog_seconds)
    try:
        server = Server(options.host, options.port, scrape, heart.beat, options.listen_fd)
    except ApplianceError as err:
        sys.stderr.write(f"error: {err}\n")
        return err.exit_code
    _serve(server, reader, notifier)
    return 0


def _serve(server: Server, reader: Reader, notifier: Notifier) -> None:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    reader.start()
    threading.Thread(target=server.serve_forever, name="listener", daemon=True).start()
    host, port = server.server_address[:2]
    _log.info("exporter listens", address=str(host), port=port)
    notifier.ready()
    stopping.wait()
    notifier.stopping()
    server.shutdown()
    server.server_close()
    reader.stop()
    _log.info("exporter stopped")


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m appliance.exporter", description="GPU telemetry for Prometheus.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dcgm-names", action="store_true")
    parser.add_argument("--log-format", default="auto")
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--listen-fd", type=int, help="a socket that listens already, in place of host and port")
    parser.add_argument("--notify-socket")
    parser.add_argument("--watchdog-seconds", type=float)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
