"""docs/metrics.md says what the gateway exposes."""

from __future__ import annotations

from pathlib import Path

from appliance.cli.metrics import page
from appliance.gateway.families import FAMILIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_page_is_what_the_code_renders() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs` and commit docs/metrics.md"


def test_page_has_a_row_of_every_family() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [family.name for family in FAMILIES if f"| `{family.name}` | {family.kind} |" not in text] == []
