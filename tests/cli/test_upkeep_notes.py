"""What a command leaves for upkeep belongs to the appliance, and never stops the command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from appliance.cli import upkeep_notes
from appliance.core.upkeep_note import Note
from appliance.health.privacy import Find, Report

NOTE = Note(5, ok=True, facts={"records": 9})


def test_note_is_replaced_in_one_step_and_read_by_owner_and_group_only(state_dir: Path) -> None:
    path = state_dir / "upkeep" / "audit.json"
    upkeep_notes.leave(path, Note(4, ok=False))
    first = path.stat().st_ino
    upkeep_notes.leave(path, NOTE)
    assert json.loads(path.read_bytes()) == {"format": 1, "at": 5, "ok": True, "records": 9}
    assert path.stat().st_ino != first
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o640, 0o750)
    assert [entry.name for entry in path.parent.iterdir()] == ["audit.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for another user")
def test_note_of_root_belongs_to_the_owner_of_the_state_directory(state_dir: Path) -> None:
    os.chown(state_dir, 1234, 1235)
    path = state_dir / "upkeep" / "audit.json"
    upkeep_notes.leave(path, NOTE)
    assert {(entry.stat().st_uid, entry.stat().st_gid) for entry in (path, path.parent)} == {(1234, 1235)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for another user")
def test_link_laid_in_the_way_of_root_leads_nowhere(state_dir: Path) -> None:
    os.chown(state_dir, 1234, 1235)
    others = state_dir / "others"
    others.write_text("untouched")
    folder = state_dir / "upkeep"
    folder.mkdir()
    for name in ("audit.json", ".audit.json.new"):
        (folder / name).symlink_to(others)
    upkeep_notes.leave(folder / "audit.json", NOTE)
    assert (others.read_text(), others.stat().st_uid) == ("untouched", 0)
    assert not (folder / "audit.json").is_symlink()


def test_note_that_cannot_be_left_is_a_warning(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state_dir / "upkeep").write_text("in the way")
    path = state_dir / "upkeep" / "audit.json"
    upkeep_notes.leave(path, NOTE)
    said = capsys.readouterr()
    assert said.err.startswith(f"warning: {path} cannot be written (Not a directory)")
    assert f"Run it as root or as the owner of {state_dir}" in said.err
    assert said.out == ""


def test_state_directory_that_is_not_there_is_made(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = state_dir / "new" / "state" / "upkeep" / "backup.json"
    upkeep_notes.leave(path, NOTE)
    assert json.loads(path.read_bytes())["ok"] is True
    assert [one.stat().st_mode & 0o777 for one in (path, path.parent, path.parents[1])] == [0o640, 0o750, 0o750]
    assert capsys.readouterr().err == ""


def test_privacy_test_leaves_places_and_counts() -> None:
    report = Report(planted={"a chat's message": 200}, searched={"metrics": 2}, unread=["journal: there is none"])
    note = upkeep_notes.of_privacy_test(report, 7.9)
    assert (note.at, note.ok, note.facts["canaries_found"], note.facts["searched"]) == (7, True, 0, {"metrics": 2})
    report.finds.append(Find("a chat's message", "/var/log/x.log"))
    note = upkeep_notes.of_privacy_test(report, 7.9)
    assert (note.ok, note.facts["canaries_found"]) == (False, 1)
