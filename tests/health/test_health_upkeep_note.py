"""What other runs left is read from real files, and said where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.core import upkeep_note
from appliance.core.upkeep_note import Note
from appliance.health.upkeep_note import NoteUnreadable, read


def test_note_is_read_and_its_absence_is_none(tmp_path: Path) -> None:
    path = tmp_path / "backup.json"
    assert read(path) is None
    note = Note(5.0, ok=True, facts={"size_bytes": 7})
    path.write_bytes(upkeep_note.encode(note))
    assert read(path) == note


@pytest.mark.parametrize("content", [b"half of {", b"{}"])
def test_garbage_is_said_in_both_languages_without_its_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "backup.json"
    path.write_bytes(content)
    with pytest.raises(NoteUnreadable) as told:
        read(path)
    assert told.value.reason.english.startswith("backup.json cannot be read: it is not ")
    assert "읽을 수 없음" in told.value.reason.korean
    assert "half" not in told.value.reason.english


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoteUnreadable, match="Is a directory"):
        read(tmp_path)
