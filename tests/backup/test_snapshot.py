"""Claims about ``backup.snapshot``."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.backup import snapshot
from appliance.backup.snapshot import Sources
from appliance.core.audit_chain import Record
from appliance.errors import BackupUnusable
from appliance.gateway.record_reader import RecordReader
from appliance.gateway.record_store import RecordStore


def test_everything_that_is_kept_is_copied_and_nothing_else(sources: Sources, tmp_path: Path) -> None:
    (sources.state_dir / "bundles").mkdir()
    (sources.state_dir / "demo-key").write_text("secret")
    assert snapshot.take(sources, tmp_path) == [
        "appliance.toml", "keys.sqlite3", "records.head", "records.key", "records.sqlite3",
        "trust/vendor.toml", "upkeep/audit.json", "upkeep/machine-key.pem",
    ]  # fmt: skip
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*"))


def test_a_database_that_is_being_written_is_copied_whole_and_its_writer_goes_on(
    sources: Sources, tmp_path: Path
) -> None:
    with closing(RecordStore(sources.state_dir / "records.sqlite3")) as store:
        store.append([Record("whole", 1_767_268_801_000, "more", app="homework", method="POST")])  # in the log only
        snapshot.take(sources, tmp_path)
        store.append([Record("whole", 1_767_268_802_000, "later", app="homework", method="POST")])
    verdict = RecordReader(tmp_path / "records.sqlite3").verify()
    assert (verdict.problem, verdict.records, verdict.unsealed) == (None, 10, 0)


def test_a_copy_that_is_damaged_is_no_backup(sources: Sources, tmp_path: Path) -> None:
    path = sources.state_dir / "keys.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(BackupUnusable):
        snapshot.take(sources, tmp_path)


def test_what_cannot_be_read_is_told(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(BackupUnusable, match="cannot be copied"):
        snapshot.take(replace(sources, settings_file=tmp_path / "absent"), tmp_path)


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "keys.sqlite3").write_bytes(b"x" * 5000)
    with pytest.raises(BackupUnusable, match=r"keys\.sqlite3 is damaged"):
        snapshot.check_database(tmp_path / "keys.sqlite3")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a file system read-only")
@pytest.mark.parametrize("gateway", ["runs", "is stopped", "was killed"])
def test_a_state_that_may_only_be_read_is_copied_whatever_the_gateway_does(
    sources: Sources, tmp_path: Path, gateway: str
) -> None:
    """As the backup's unit sees it."""
    program = (
        "import sys; from pathlib import Path; from appliance.backup import snapshot; "
        "s = Path(sys.argv[1]); snapshot.take(snapshot.Sources(s, s / 'trust'), Path(sys.argv[2]))"
    )
    state = sources.state_dir
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$0" -c "$3" "$1" "$2"'
    command = ["unshare", "--mount", "sh", "-c", script, sys.executable, state, tmp_path, program]
    store = RecordStore(state / "records.sqlite3")
    store.append([Record("whole", 1_767_268_801_000, "more", app="homework", method="POST")])
    if gateway == "was killed":
        command[6] = shutil.copytree(state, state.with_name("dead"))
    if gateway == "is stopped":
        store.close()
    subprocess.run(command, check=True)
    if gateway != "is stopped":
        store.close()
    verdict = RecordReader(tmp_path / "records.sqlite3").verify()
    assert (verdict.problem, verdict.records) == (None, 10)


@pytest.mark.parametrize("open_elsewhere", [False, True])
def test_reader_that_may_not_write_copies_what_is_there_and_leaves_nothing(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_elsewhere: bool
) -> None:
    path = sources.state_dir / "limits.sqlite3"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        with writer:
            writer.execute("CREATE TABLE day_use (tokens INTEGER)")
            writer.execute("INSERT INTO day_use VALUES (7)")
        if not open_elsewhere:
            writer.close()
        before = sorted(sources.state_dir.glob("limits*"))
        monkeypatch.setattr("appliance.backup.snapshot.os.access", lambda *_: False)
        snapshot.take(sources, tmp_path)
    with closing(sqlite3.connect(tmp_path / "limits.sqlite3")) as copy:
        assert copy.execute("SELECT tokens FROM day_use").fetchall() == [(7,)]
    assert open_elsewhere or sorted(sources.state_dir.glob("limits*")) == before
