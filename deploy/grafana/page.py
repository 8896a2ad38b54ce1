"""``docs/dashboards.md``, made from the dashboards' own words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from deploy.grafana.board import Board, Panel

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dashboards.md"
_HEAD = (Path(__file__).parent / "page_head.md").read_text(encoding="utf-8")


def text(boards: Iterable[Board]) -> str:
    """The whole page."""
    return _HEAD + "".join(f"\n{line}\n" for board in boards for line in _board(board))


def _board(board: Board) -> Iterator[str]:
    yield f"## {board.title.line}"
    yield f"{board.text.ko} {board.text.en}"
    for row in board.rows:
        yield f"### {row.title.line}"
        yield "\n".join(
            (
                "| 칸 · panel | 무엇 · what it shows | 빨간색이면 · if it is red |",
                "| --- | --- | --- |",
                *map(_row, row.panels),
            )
        )


def _row(panel: Panel) -> str:
    red = f"{panel.red.ko}<br>{panel.red.en}" if panel.red else "–"
    words = f"{panel.text.ko}<br>{panel.text.en}"
    if panel.states:
        words += "<br>" + ", ".join(f"{_DOTS.get(state.colour, '⚪')} {state.words.line}" for state in panel.states)
    # A bar would end the cell, in code too.
    cells = (cell.replace("|", "\\|").replace("\n", " ") for cell in (panel.title.line, words, red))
    return f"| {' | '.join(cells)} |"


_DOTS = {"green": "🟢", "orange": "🟠", "red": "🔴"}
