"""``appliance exporter``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from appliance.cli import state
from appliance.cli.state import StateDir
from appliance.settings import Settings, listening_descriptor, notify_socket, watchdog_seconds

#: Without the user's own packages and the working directory on the path, as for every process of the appliance.
_PROCESS = ("-s", "-P", "-m", "appliance.exporter")


def run(
    state_dir: StateDir = None,
    dcgm_names: Annotated[
        bool, typer.Option("--dcgm-names", help="Also export the names of NVIDIA's DCGM exporter, for its dashboards.")
    ] = False,
) -> None:
    """Serve the GPU's telemetry for Prometheus at /metrics, until stopped.

    It answers on a machine without a GPU, too, and says why there is nothing to read.

    Example: appliance exporter --dcgm-names
    """
    command = line(state.load(state_dir), dcgm_names=dcgm_names)
    # In place of this process, whose imports (every command's) would stay in memory for as long as it runs.
    os.execv(command[0], command)  # noqa: S606


def line(settings: Settings, *, dcgm_names: bool) -> list[str]:
    """The command line of the exporter's own process."""
    return [
        sys.executable,
        *_PROCESS,
        f"--host={settings.exporter.host}",
        f"--port={settings.exporter.port}",
        f"--log-format={settings.log.format}",
        f"--log-level={settings.log.level}",
        *(["--dcgm-names"] if dcgm_names else []),
        # The number of this process stays the same, so what was handed to it goes on.
        *([f"--listen-fd={descriptor}"] if (descriptor := listening_descriptor()) is not None else []),
        *([f"--notify-socket={address}"] if (address := notify_socket()) else []),
        *([f"--watchdog-seconds={seconds}"] if (seconds := watchdog_seconds()) else []),
    ]
