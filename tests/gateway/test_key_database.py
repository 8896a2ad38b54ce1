"""Claims about ``gateway.key_database``."""

from __future__ import annotations

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
