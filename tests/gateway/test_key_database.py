"""Claims about ``gateway.key_database``."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.core.limits import Limits
from appliance.errors import KeyStoreError
from appliance.gateway import key_database
from appliance.gateway.keystore import KeyStore

#: As the first version of the appliance made it.
FIRST_SCHEMA = """
CREATE TABLE api_key (
    key_id TEXT PRIMARY KEY, app TEXT NOT NULL, digest BLOB NOT NULL UNIQUE,
    created_at REAL NOT NULL, expires_at REAL, revoked_at REAL
) STRICT
"""


@pytest.fixture
def first_version(tmp_path: Path) -> Path:
    path = tmp_path / "keys.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(FIRST_SCHEMA)
        database.execute("INSERT INTO api_key VALUES ('abcdefgh', 'old app', x'00', 1.0, NULL, NULL)")
    return path


def test_a_database_of_the_first_version_is_read_as_it_is(first_version: Path) -> None:
    before = first_version.read_bytes()
    with closing(key_database.open_to_read(first_version)) as database:
        (key,) = key_database.read(database)
    assert (key.app, key.models, key.priority, key.limits, key.account) == (
        "old app",
        None,
        "interactive",
        Limits(),
        "abcdefgh",
    )
    assert first_version.read_bytes() == before


def test_a_change_brings_a_database_of_the_first_version_up_to_date_and_keeps_its_keys(first_version: Path) -> None:
    store = KeyStore(first_version)
    store.create("new app", now=2.0, limits=Limits(requests_per_minute=5))
    assert [(key.app, key.limits.requests_per_minute) for key in store.list()] == [("old app", None), ("new app", 5)]
    with closing(sqlite3.connect(first_version)) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == key_database.SCHEMA_VERSION


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    first_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (*key_database._MIGRATIONS[0][:4], "nonsense")
    monkeypatch.setattr(key_database, "_MIGRATIONS", (steps,))
    with pytest.raises(sqlite3.OperationalError), key_database.open_for_change(first_version):
        pytest.fail("it was opened")
    with closing(sqlite3.connect(first_version)) as database:
        assert len(database.execute("SELECT * FROM api_key").fetchone()) == 6
        assert database.execute("PRAGMA user_version").fetchone()[0] == 0


def test_a_newer_database_is_read_but_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite3"
    KeyStore(path).create("app", now=1.0)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE api_key ADD COLUMN colour TEXT")
        database.execute(f"PRAGMA user_version = {key_database.SCHEMA_VERSION + 1}")
    with closing(key_database.open_to_read(path)) as database:
        assert [key.app for key in key_database.read(database)] == ["app"]
    with pytest.raises(KeyStoreError, match="newer version"):
        KeyStore(path).create("other", now=2.0)


def test_reading_never_makes_a_database(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        key_database.open_to_read(tmp_path / "none.sqlite3")
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_is_no_key_is_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite3"
    KeyStore(path).create("app", now=1.0)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE api_key SET models = '{'")
    with closing(key_database.open_to_read(path)) as database, pytest.raises(sqlite3.DataError):
        key_database.read(database)


def test_what_root_makes_belongs_to_the_owner_of_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, tuple[int, int]] = {}

    def fchown(file: int, user: int, group: int) -> None:
        given[Path(f"/proc/self/fd/{file}").readlink().name] = (user, group)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", fchown)
    KeyStore(tmp_path / "keys.sqlite3").create("app", now=1.0)
    owner = tmp_path.stat()
    assert given == dict.fromkeys(["keys.sqlite3", "keys.lock"], (owner.st_uid, owner.st_gid))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_root_really_gives_away_all_files_of_a_new_database(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 23456)
    path = tmp_path / "keys.sqlite3"
    with key_database.open_for_change(path):
        owners = {file.name: (file.stat().st_uid, file.stat().st_gid) for file in tmp_path.iterdir()}
    assert {"keys.sqlite3", "keys.lock", "keys.sqlite3-wal", "keys.sqlite3-shm"} >= set(owners) >= {"keys.sqlite3"}
    assert "keys.sqlite3-wal" in owners
    assert set(owners.values()) == {(12345, 23456)}


def test_a_link_in_the_place_of_the_lock_gives_away_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    other = tmp_path / "roots own"
    other.touch()
    (tmp_path / "keys.lock").symlink_to(other)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda file, *_: given.append(os.fstat(file).st_ino))
    KeyStore(tmp_path / "keys.sqlite3").create("app", now=1.0)
    assert given == [(tmp_path / "keys.sqlite3").stat().st_ino]


@pytest.mark.parametrize(
    ("denied", "said"),
    [
        (os.R_OK, "this user may not read it"),
        (os.W_OK, "this user may not write it"),
        (None, "it is not there or cannot be opened"),
    ],
)
def test_a_file_of_somebody_elses_is_told_from_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, denied: int | None, said: str
) -> None:
    with pytest.raises(sqlite3.OperationalError) as failure:
        key_database.open_to_read(tmp_path / "none.sqlite3")
    path = tmp_path / "keys.sqlite3"
    path.touch()
    monkeypatch.setattr(os, "access", lambda _path, mode, **_: mode != denied)
    assert key_database.reason(failure.value, path) == said
