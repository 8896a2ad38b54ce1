"""What the backup left is what upkeep says."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.core import upkeep_note
from appliance.core.upkeep_note import Note
from appliance.health import backup

NOW = 1_795_400_000.0


def test_backup_is_read_from_its_note(tmp_path: Path) -> None:
    path = tmp_path / "backup.json"
    assert backup.look(path, NOW, configured=True).findings[0].state == "bad"
    path.write_bytes(upkeep_note.encode(Note(NOW - 60, ok=True, facts={"size_bytes": 7})))
    outcome = backup.look(path, NOW, configured=True)
    assert (outcome.findings[0].state, outcome.looked) == ("good", True)
    assert [sample.value for sample in outcome.samples] == [True, NOW - 60, 7]


@pytest.mark.parametrize("configured", [True, False])
def test_note_that_cannot_be_read_is_no_verdict(tmp_path: Path, configured: bool) -> None:
    path = tmp_path / "backup.json"
    path.write_text("half of {")
    outcome = backup.look(path, NOW, configured=configured)
    assert (outcome.findings[0].state, outcome.looked) == ("unknown", False)
    assert [(sample.name, sample.value) for sample in outcome.samples] == [("appliance_backup_configured", configured)]
