"""Write ``deploy/grafana/dashboards/*.json`` and ``docs/dashboards.md``: ``python -m deploy.grafana``."""

from __future__ import annotations

from deploy.grafana import page
from deploy.grafana.boards import BOARDS, FOLDER, file
from deploy.grafana.drawing import draw

FOLDER.mkdir(exist_ok=True)
for board in BOARDS:
    file(board).write_text(draw(board), encoding="utf-8")
page.PAGE.write_text(page.text(BOARDS), encoding="utf-8")
