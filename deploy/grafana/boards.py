"""All dashboards, in the order in which they are shown."""

from __future__ import annotations

from pathlib import Path

from deploy.grafana import apps, engine, gpu, latency, overview, privacy
from deploy.grafana.board import Board

BOARDS = (overview.BOARD, latency.BOARD, apps.BOARD, gpu.BOARD, engine.BOARD, privacy.BOARD)
#: Where Grafana reads them, installed as it stands.
FOLDER = Path(__file__).parent / "dashboards"


def file(board: Board) -> Path:
    """The JSON file of a dashboard."""
    return FOLDER / f"{board.key}.json"
