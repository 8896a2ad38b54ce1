"""Claims about ``core.backup``."""

from __future__ import annotations

import json

import pytest

from appliance.core import backup
from appliance.core.backup import ListedBundle, Manifest, Member, Note

MANIFEST = Manifest(
    1_795_406_848,
    "0.1.0",
    {"keys.sqlite3": Member(16384, "a" * 64), "trust/vendor.toml": Member(200, "b" * 64)},
    (ListedBundle("tutor-1.0", "c" * 64, True),),
    "12:" + "d" * 64,
)
NOTE = Note("appliance-20261123T040728Z.age", "e" * 64, 1700, "age1x", MANIFEST)


def test_a_manifest_and_a_note_are_read_as_they_were_written() -> None:
    assert backup.parse(backup.render(MANIFEST)) == MANIFEST
    assert backup.parse_note(backup.render_note(NOTE)) == NOTE


@pytest.mark.parametrize(
    "name",
    [
        "../etc/passwd",
        "/etc/passwd",
        "trust/../keys.sqlite3",
        "trust/a/b.toml",
        "trust/.x.toml",
        "bundles/x",
        "trust/x.py",
        "",
    ],
)
def test_no_backup_holds_a_file_of_another_name(name: str) -> None:
    assert not backup.may_hold(name)
    text = backup.render(Manifest(1, "0.1.0", {name: Member(1, "a" * 64)}))
    with pytest.raises(ValueError, match="no backup has"):
        backup.parse(text)


def test_everything_that_is_put_back_is_something_a_backup_may_hold() -> None:
    assert all(backup.may_hold(name) for name in backup.RESTORED if name != backup.TRUST)
    assert {*backup.DATABASES, *backup.SINGLE_FILES} == {*backup.RESTORED} - {backup.TRUST}
    assert backup.RESTORED[-1] == "keys.sqlite3"


def test_the_name_says_when() -> None:
    assert backup.file_name(1_795_406_848.8) == "appliance-20261123T040728Z.age"
    assert backup.made_at("appliance-20261123T040728Z.age") == 1_795_406_848


@pytest.mark.parametrize(
    "name", [".appliance-20261123T040728Z.age.part", "appliance-20261399T040728Z.age", "other.age"]
)
def test_another_files_name_is_no_backups(name: str) -> None:
    assert backup.made_at(name) is None


def test_the_oldest_go_and_other_files_stay() -> None:
    names = [backup.file_name(at) for at in (300, 100, 200)]
    assert backup.superseded([*names, "photo.jpg", ".lock"], 2) == [backup.file_name(100)]
    assert backup.superseded(names, 3) == []


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"files": None},
        {"files": {"keys.sqlite3": {"size_bytes": -1, "sha256": "a" * 64}}},
        {"bundles": [{}]},
    ],
)
def test_another_form_is_refused(change: dict[str, object]) -> None:
    values = json.loads(backup.render(MANIFEST)) | change
    with pytest.raises(ValueError, match="it "):
        backup.parse(json.dumps(values).encode())


@pytest.mark.parametrize("change", [{"sha256": "x"}, {"file": "../x.age"}, {"size_bytes": "1"}, {"manifest": {}}])
def test_a_note_of_another_form_is_refused(change: dict[str, object]) -> None:
    values = json.loads(backup.render_note(NOTE)) | change
    with pytest.raises(ValueError, match="it "):
        backup.parse_note(json.dumps(values).encode())
