"""What the privacy test left is what upkeep says."""

from __future__ import annotations

from pathlib import Path

from appliance.core import upkeep_note
from appliance.core.upkeep_note import Note
from appliance.health import privacy_test

NOW = 1_795_400_000.0


def test_result_is_read_from_its_note(tmp_path: Path) -> None:
    path = tmp_path / "privacy-test.json"
    assert privacy_test.look(path, NOW).samples == ()
    path.write_bytes(upkeep_note.encode(Note(NOW - 60, ok=False, facts={"canaries_found": 2})))
    outcome = privacy_test.look(path, NOW)
    assert outcome.findings[0].state == "bad"
    assert [sample.value for sample in outcome.samples] == [False, NOW - 60, 2]


def test_note_that_cannot_be_read_is_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "privacy-test.json"
    path.write_text("half of {")
    outcome = privacy_test.look(path, NOW)
    assert (outcome.findings[0].state, outcome.looked, outcome.samples) == ("unknown", False, ())
