"""Claims about ``health.controls.keys``."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from appliance.core.evidence import Outcome
from appliance.gateway.keystore import KeyStore
from appliance.health.controls import keys
from tests.health.controls import world as worlds
from tests.health.controls.world import World


def test_a_whole_key_anywhere_in_the_file_is_found(world: World) -> None:
    path = world.state / "keys.sqlite3"
    _, key = KeyStore(path).create("other", now=worlds.NOW)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE forgotten (note TEXT)")
        database.execute("INSERT INTO forgotten VALUES (?)", (key,))
    result = keys.hashed(world.host())
    assert result.outcome is Outcome.FAIL
    assert key not in result.reason.english


def test_a_revoked_key_is_nobodys_business_and_an_endless_one_is_counted(world: World) -> None:
    store = KeyStore(world.state / "keys.sqlite3")
    record, _ = store.create("old", now=worlds.NOW)
    store.revoke(record.key_id, now=worlds.NOW - 1)
    store.create("exam", now=worlds.NOW, expires_at=worlds.NOW + 1000)
    said = keys.accountable(world.host()).reason.english
    assert said == "2 usable keys of 2 apps, 1 without an end"


def test_no_key_and_no_database_are_told_apart(world: World) -> None:
    path = world.state / "keys.sqlite3"
    path.write_bytes(b"x" * 5000)
    assert keys.hashed(world.host()).outcome is Outcome.UNKNOWN
    path.unlink()
    assert keys.hashed(world.host()).outcome is Outcome.NOT_APPLICABLE
