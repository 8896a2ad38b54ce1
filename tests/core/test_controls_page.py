"""Claims about ``core.controls_page``."""

from __future__ import annotations

from appliance.core import controls_page
from appliance.core.controls import CONTROLS


def test_every_control_has_a_row_of_seven_cells_in_both_languages() -> None:
    rows = [line for line in controls_page.render().splitlines() if line.startswith("| `")]
    assert len(rows) == len(CONTROLS)
    for control, row in zip(CONTROLS, rows, strict=True):
        assert row.count(" | ") == 6, control.key
        assert control.title.english in row
        assert control.title.korean in row


def test_what_has_no_evidence_is_named() -> None:
    text = controls_page.render()
    assert "- ISMS-P: 2.10.7 removable media 보조저장매체 관리, 2.11.4 incident drills" in text
    assert "- PIPA: none" in text
    assert "not legal advice" in text
