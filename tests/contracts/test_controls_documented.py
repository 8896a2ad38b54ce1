"""docs/controls.md is what `appliance report --list` prints, and docs/evidence.md names every result."""

from __future__ import annotations

from pathlib import Path

from appliance.core import controls_page
from appliance.core.evidence import Outcome

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_list_of_controls_is_the_codes() -> None:
    assert (DOCS / "controls.md").read_text(encoding="utf-8") == controls_page.render(), "run make docs"


def test_every_result_is_explained() -> None:
    text = (DOCS / "evidence.md").read_text(encoding="utf-8")
    assert all(f"| {outcome.value} |" in text for outcome in Outcome)
