"""``appliance gateway``."""

from __future__ import annotations

from appliance import logs
from appliance.cli import state
from appliance.cli.state import StateDir
from appliance.gateway import server


def run(state_dir: StateDir = None) -> None:
    """Serve the OpenAI-compatible API in front of the engine's socket, until stopped.

    It works with any OpenAI-shaped server on that socket.

    Example: appliance gateway --state-dir /var/lib/appliance
    """
    settings = state.load(state_dir)
    logs.configure(settings.log)
    server.serve(settings)
