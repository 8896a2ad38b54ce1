"""Claims about ``backup.store``: a backup is there whole or not at all."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import lockfile
from appliance.backup import recovery_key, restore, store
from appliance.backup.store import Plan
from appliance.errors import AlreadyRunning, BackupUnusable
from tests.backup.conftest import PAIR

NOW = 1_795_406_848.0


def test_a_backup_is_for_its_owner_and_says_what_it_holds(plan: Plan) -> None:
    made = store.create(plan, NOW)
    assert made.path.name == "appliance-20261123T040728Z.age"
    assert made.note is not None
    assert made.note.manifest.audit_head.startswith("9:")
    assert [bundle.name for bundle in made.note.manifest.bundles] == ["tutor-1.0"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in plan.directory.glob("appliance-*"))
    assert store.everything(plan.directory) == [made]
    assert not list(plan.sources.state_dir.rglob(".backup-making")), "no plain copy is left"


def test_only_the_newest_stay_and_what_is_not_ours_is_left_alone(plan: Plan) -> None:
    plan.directory.mkdir()
    (plan.directory / "holiday.age").touch()
    for number in range(4):
        store.create(plan, NOW + number)
    assert [one.made_at for one in store.everything(plan.directory)] == [NOW + 2, NOW + 3]
    assert len(list(plan.directory.glob("appliance-*"))) == 6
    assert (plan.directory / "holiday.age").exists()


def test_a_backup_is_checked_without_the_private_key(plan: Plan) -> None:
    made = store.create(plan, NOW)
    assert store.check(made.path, lambda content, signature: signature == b"signed " + content[:8]) == made.note
    with pytest.raises(BackupUnusable, match="not signed by the machine key"):
        store.check(made.path, lambda *_: False)
    content = bytearray(made.path.read_bytes())
    content[-1] ^= 1
    made.path.write_bytes(content)
    with pytest.raises(BackupUnusable, match="is damaged"):
        store.check(made.path, None)


def test_a_backup_under_another_ones_name_is_found_out(plan: Plan) -> None:
    first, second = store.create(plan, NOW), store.create(plan, NOW + 1)
    for suffix in (".age", ".json", ".json.sig"):
        first.path.with_suffix(suffix).replace(second.path.with_suffix(suffix))
    with pytest.raises(BackupUnusable, match="is not the file that its note names"):
        store.check(second.path, None)


def test_a_backup_without_its_note_is_listed_and_not_vouched_for(plan: Plan) -> None:
    made = store.create(plan, NOW)
    store.note_path(made.path).unlink()
    assert [one.note for one in store.everything(plan.directory)] == [None]
    with pytest.raises(BackupUnusable):
        store.check(made.path, None)


def test_an_empty_state_is_no_backup(plan: Plan, tmp_path: Path) -> None:
    nothing = replace(plan.sources, state_dir=tmp_path, trust_dir=tmp_path)
    with pytest.raises(BackupUnusable, match="nothing to back up"):
        store.create(replace(plan, sources=nothing), NOW)
    assert store.everything(plan.directory) == []


def test_two_commands_do_not_make_one_at_once(plan: Plan) -> None:
    with lockfile.acquire(plan.directory / ".lock"), pytest.raises(AlreadyRunning):
        store.create(plan, NOW)


def test_a_directory_that_is_not_there_is_told(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackupUnusable, match="cannot be written"):
        store.create(replace(plan, directory=tmp_path / "file"), NOW)
    with pytest.raises(BackupUnusable, match="cannot be read"):
        store.everything(tmp_path / "absent")


def test_what_a_killed_run_left_goes_with_the_next(plan: Plan) -> None:
    plan.directory.mkdir()
    stem = plan.directory / "appliance-20261122T000000Z"
    left = [
        stem.with_suffix(".json"),
        stem.with_suffix(".json.sig"),
        plan.directory / ".appliance-20261122T000000Z.age.part",
    ]
    for path in left:
        path.touch()
    making = plan.sources.state_dir / "upkeep" / ".backup-making"
    making.mkdir()
    (making / "keys.sqlite3").touch()
    scratch, running = (making.with_name(f".backup-verifying-{name}") for name in ("killed", "running"))
    for path in (scratch, running):
        path.mkdir()
    os.utime(scratch, (0, 0))
    store.create(plan, NOW)
    assert not any(path.exists() for path in [*left, making, scratch])
    assert running.exists()


_MAKER = """
import sys
from pathlib import Path
from appliance.backup import recovery_key, store
from appliance.backup.snapshot import Sources
from appliance.backup.store import Plan
state, directory, recipient = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
plan = Plan(Sources(state, state / "trust"), directory, recovery_key.recipient(recipient), 3, "0", (), lambda c: b"s")
at = float(sys.argv[4])
print("begun", flush=True)
while True:
    at += 1
    store.create(plan, at)
    print("made", flush=True)
"""


@pytest.mark.process
def test_a_kill_at_any_moment_leaves_every_backup_readable_and_no_half_one(plan: Plan, tmp_path: Path) -> None:
    recovery_key.save(PAIR, tmp_path / "key")
    identity = recovery_key.read(tmp_path / "key")
    chance = random.Random(6)
    (plan.sources.state_dir / "limits.sqlite3").unlink(missing_ok=True)
    seen = 0
    for kill in range(6):
        arguments = [plan.sources.state_dir, plan.directory, PAIR.public, str(NOW + 1000 * kill)]
        with subprocess.Popen(
            [sys.executable, "-c", _MAKER, *arguments], stdout=subprocess.PIPE, env=os.environ
        ) as maker:
            assert maker.stdout is not None
            maker.stdout.readline()
            for _ in range(chance.randrange(1, 4)):
                maker.stdout.readline()
            time.sleep(chance.random() * 0.05)  # somewhere within the next one
            maker.kill()
        there = store.everything(plan.directory)
        assert 1 <= len(there) <= 4
        for one in there:
            scratch = tmp_path / f"{kill}-{one.made_at}"
            scratch.mkdir()
            store.check(one.path, None)
            assert "keys.sqlite3" in restore.verify(one.path, identity, scratch).files
            seen += 1
    assert seen >= 6
