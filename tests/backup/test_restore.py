"""Claims about ``backup.restore``."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup import recovery_key, restore, store
from appliance.backup.restore import Restored
from appliance.backup.store import Plan
from appliance.core import backup
from appliance.errors import BackupUnusable, StateNotEmpty
from appliance.gateway.keystore import KeyStore
from appliance.gateway.record_reader import RecordReader
from tests.backup.conftest import PAIR

NOW = 1_795_406_848.0


@pytest.fixture
def made(plan: Plan) -> Path:
    return store.create(plan, NOW).path


@pytest.fixture
def fresh(state_dir: Path) -> Path:
    recovery_key.save(PAIR, state_dir / "key")
    return state_dir / "fresh"


def run(path: Path, fresh: Path, *, replace: bool = False, **more) -> Restored:
    return restore.run(path, recovery_key.read(fresh.parent / "key"), fresh, replace=replace, stamp="T", **more)


def test_a_fresh_state_has_the_same_keys_and_the_same_audit(made: Path, fresh: Path, plan: Plan) -> None:
    done = run(made, fresh)
    old = plan.sources.state_dir
    assert KeyStore(fresh / "keys.sqlite3").list() == KeyStore(old / "keys.sqlite3").list()
    ours, theirs = (RecordReader(state / "records.sqlite3").verify() for state in (fresh, old))
    assert ours == theirs
    assert ours.problem is None
    assert (fresh / "trust" / "vendor.toml").read_text() == "vendor.toml\n"
    assert done.replaced is None
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in fresh.rglob("*")}
    assert (modes["records.key"], modes["keys.sqlite3"]) == ("0o600", "0o640")
    assert (modes["vendor.toml"], modes["trust"]) == ("0o644", "0o755")


def test_settings_and_results_of_the_old_host_are_laid_aside(made: Path, fresh: Path) -> None:
    done = run(made, fresh)
    assert done.aside == ("restored-T/manifest.json", "restored-T/appliance.toml", "restored-T/upkeep/audit.json")
    assert not (fresh / "upkeep" / "audit.json").exists(), "another host's results are not this one's"
    assert (fresh / "upkeep" / "machine-key.pem").read_text() == "machine-key.pem\n"
    assert (fresh / "restored-T" / "upkeep" / "audit.json").exists()


def test_what_is_there_is_not_overwritten(made: Path, fresh: Path) -> None:
    KeyStore(fresh / "keys.sqlite3").create("other", now=2.0)
    before = sorted(path.name for path in fresh.iterdir())
    with pytest.raises(StateNotEmpty, match="--replace"):
        run(made, fresh)
    assert sorted(path.name for path in fresh.iterdir()) == before
    done = run(made, fresh, replace=True)
    assert done.replaced == fresh / "replaced-T"
    assert [key.app for key in KeyStore(fresh / "keys.sqlite3").list()] == ["homework"]
    assert [key.app for key in KeyStore(done.replaced / "keys.sqlite3").list()] == ["other"]


def test_installed_bundles_and_an_empty_trust_directory_are_in_nobodys_way(made: Path, fresh: Path) -> None:
    (fresh / "bundles" / "tutor-1.0").mkdir(parents=True)
    (fresh / "trust").mkdir()
    assert "trust" in run(made, fresh).files
    assert (fresh / "bundles" / "tutor-1.0").is_dir()


def test_trusted_keys_that_belong_elsewhere_are_laid_aside(made: Path, fresh: Path) -> None:
    done = run(made, fresh, to_look_at=frozenset({"trust"}))
    assert "trust" not in done.files
    assert (fresh / "restored-T" / "trust" / "vendor.toml").exists()
    assert not (fresh / "trust").exists()


def test_a_database_of_the_old_state_leaves_no_log_for_the_new_one(made: Path, fresh: Path) -> None:
    fresh.mkdir()
    (fresh / "records.sqlite3-wal").write_bytes(b"old")
    with pytest.raises(StateNotEmpty):
        run(made, fresh)
    run(made, fresh, replace=True)
    assert (fresh / "replaced-T" / "records.sqlite3-wal").read_bytes() == b"old"
    assert RecordReader(fresh / "records.sqlite3").verify().problem is None


def test_a_damaged_backup_changes_nothing(made: Path, fresh: Path) -> None:
    KeyStore(fresh / "keys.sqlite3").create("other", now=2.0)
    content = bytearray(made.read_bytes())
    content[len(content) // 2] ^= 1
    made.write_bytes(content)
    with pytest.raises(BackupUnusable):
        run(made, fresh, replace=True)
    assert [key.app for key in KeyStore(fresh / "keys.sqlite3").list()] == ["other"]
    assert not (fresh / ".restoring").exists()


def test_what_the_examination_raises_stops_all(made: Path, fresh: Path) -> None:
    def object_to(directory: Path) -> None:
        assert (directory / "records.sqlite3").exists()
        raise BackupUnusable("no")

    with pytest.raises(BackupUnusable, match="no"):
        run(made, fresh, examine=object_to)
    assert list(fresh.iterdir()) == []


@pytest.mark.parametrize("stopped_at", range(6))
def test_a_restore_that_a_power_cut_stopped_has_no_keys_and_is_done_again(
    made: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int
) -> None:
    names = iter(range(100))

    def cut(directory: Path) -> None:
        if directory == fresh and next(names) == stopped_at:
            raise SystemExit

    KeyStore(fresh / "keys.sqlite3").create("other", now=2.0)
    monkeypatch.setattr("appliance.durable.sync_directory", cut)
    with pytest.raises(SystemExit):
        run(made, fresh, replace=True)
    monkeypatch.undo()
    if (fresh / "keys.sqlite3").exists():
        assert [key.app for key in KeyStore(fresh / "keys.sqlite3").list()] == ["homework"], "all of it was there"
    done = restore.run(made, recovery_key.read(fresh.parent / "key"), fresh, replace=True, stamp="U")
    assert set(done.files) == {*backup.RESTORED} - {"limits.sqlite3", "upkeep/machine-key.pub.pem"}
    assert [key.app for key in KeyStore(fresh / "replaced-T" / "keys.sqlite3").list()] == ["other"]


def test_a_place_that_cannot_be_written_is_told(made: Path, fresh: Path) -> None:
    fresh.write_text("a file")
    with pytest.raises(BackupUnusable, match="cannot be put into"):
        run(made, fresh)
