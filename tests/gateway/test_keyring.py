"""Claims about ``gateway.keyring``: no trouble with the database makes a good key a bad one."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.errors import InvalidKey, KeysUnavailable
from appliance.gateway import key_database
from appliance.gateway.keyring import REOPEN_SECONDS, RETRY_SECONDS, KeyRing
from appliance.gateway.keystore import KeyStore


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys.sqlite3")


@pytest.fixture
def key(store: KeyStore) -> str:
    return store.create("app", now=0.0)[1]


@pytest.fixture
def ring(store: KeyStore, key: str, clock: Clock) -> Iterator[KeyRing]:
    with closing(KeyRing(store.path, clock)) as ring:
        yield ring


def works(ring: KeyRing, key: str, now: float = 1.0) -> bool:
    try:
        ring.authenticate(key, now)
    except InvalidKey:
        return False
    return True


def remove(store: KeyStore) -> None:
    for path in store.path.parent.iterdir():
        path.unlink()


def test_revoked_key_is_refused_at_the_next_look(store: KeyStore, ring: KeyRing, key: str) -> None:
    assert works(ring, key)
    store.revoke(store.list()[0].key_id, now=0.5)
    assert not works(ring, key)


def test_new_and_rotated_keys_work_at_the_next_look(store: KeyStore, ring: KeyRing, key: str) -> None:
    _, new = store.rotate(store.list()[0].key_id, now=1.0, overlap_seconds=60)
    assert works(ring, new, 2.0)
    assert works(ring, key, 60.9)
    assert not works(ring, key, 61.0), "the old key ends by itself"
    assert ring.authenticate(new, 2.0).account == store.list()[0].account


def test_locked_database_takes_no_key_away_and_is_never_waited_for(
    store: KeyStore, ring: KeyRing, key: str, clock: Clock
) -> None:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert works(ring, key)
        assert ring.is_fresh, "a writer does not keep a reader out"
    ring.close()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert works(ring, key)
        assert not ring.is_fresh
    clock.now += RETRY_SECONDS
    assert works(ring, key)
    assert ring.is_fresh
    assert ring._database is not None
    assert ring._database.execute("PRAGMA busy_timeout").fetchone()[0] == 0


def test_database_that_is_gone_takes_no_key_away_says_so_once_and_recovers(
    store: KeyStore, ring: KeyRing, key: str, clock: Clock, tmp_path: Path
) -> None:
    saved = tmp_path.with_name(f"{tmp_path.name}-saved")
    with closing(sqlite3.connect(store.path)) as database:
        database.execute(f"VACUUM INTO '{saved}'")
    remove(store)
    with capture_logs() as lines:
        for _ in range(50):
            assert works(ring, key)
            clock.now += 0.1
    assert not ring.is_fresh
    assert [line["log_level"] for line in lines] == ["error"]
    assert not store.path.exists(), "the ring never makes a database"
    saved.rename(store.path)
    clock.now += RETRY_SECONDS
    assert works(ring, key)
    assert ring.is_fresh
    _, new = store.create("other", now=0.0)
    assert works(ring, new)


def test_damaged_database_takes_no_key_away_and_is_noticed(
    store: KeyStore, ring: KeyRing, key: str, clock: Clock
) -> None:
    good = store.path.read_bytes()
    store.path.write_bytes(b"\x00garbage" * (len(good) // 8))
    clock.now += REOPEN_SECONDS
    assert works(ring, key)
    assert not ring.is_fresh
    store.path.write_bytes(good)
    clock.now += RETRY_SECONDS
    assert works(ring, key)
    assert ring.is_fresh


def test_damage_in_the_middle_of_the_file_is_noticed_before_a_key_changes(
    store: KeyStore, ring: KeyRing, key: str, clock: Clock
) -> None:
    with store.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (store.path.stat().st_size - 4096))
    clock.now += REOPEN_SECONDS
    assert works(ring, key)
    assert not ring.is_fresh


def test_full_disk_takes_no_key_away(store: KeyStore, ring: KeyRing, key: str, clock: Clock) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ring.close()
    # No descriptor left stands in for no block left: opening fails the same way, in this process only.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        assert works(ring, key)
        fresh = ring.is_fresh
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not fresh
    clock.now += RETRY_SECONDS
    assert works(ring, key)
    assert ring.is_fresh


def test_empty_database_in_the_place_of_the_lost_one_takes_no_key_away(
    store: KeyStore, ring: KeyRing, key: str, clock: Clock
) -> None:
    remove(store)
    store.path.touch()
    clock.now += REOPEN_SECONDS
    assert works(ring, key)
    assert not ring.is_fresh


def test_older_copy_of_the_database_takes_no_key_away_and_says_so(
    store: KeyStore, ring: KeyRing, key: str, clock: Clock
) -> None:
    remove(store)
    _, new = store.create("made after the loss", now=0.0)
    clock.now += REOPEN_SECONDS
    assert works(ring, new)
    assert works(ring, key)
    assert not ring.is_fresh
    assert len(ring.lost) == 1


def test_an_unknown_key_is_not_called_invalid_while_the_database_cannot_be_asked(
    store: KeyStore, ring: KeyRing, key: str, clock: Clock
) -> None:
    _, new = store.create("made just before the loss", now=0.0)
    remove(store)
    with pytest.raises(KeysUnavailable):
        ring.authenticate(new, 1.0)
    with pytest.raises(InvalidKey):
        ring.authenticate("no key at all", 1.0)
    with pytest.raises(InvalidKey):
        ring.authenticate(key[:-4] + "AAAA", 1.0)


def test_a_ring_that_started_without_its_database_finds_it_later(store: KeyStore, clock: Clock) -> None:
    with closing(KeyRing(store.path, clock)) as ring:
        assert not ring.is_fresh
        _, key = store.create("app", now=0.0)
        clock.now += RETRY_SECONDS
        assert works(ring, key)
        assert ring.is_fresh


def test_a_lost_database_is_not_asked_at_every_request(
    store: KeyStore, ring: KeyRing, key: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(store)
    looks = []

    def look(path: Path) -> sqlite3.Connection:
        looks.append(path)
        raise sqlite3.OperationalError

    store.path.write_bytes(b"")
    monkeypatch.setattr(key_database, "open_to_read", look)
    for _ in range(1000):
        works(ring, key)
        clock.now += RETRY_SECONDS / 500
    assert 2 <= len(looks) <= 3


def test_a_box_that_never_had_a_key_has_no_error_in_its_log(store: KeyStore, clock: Clock) -> None:
    with capture_logs() as lines, closing(KeyRing(store.path, clock)):
        pass
    assert [(line["log_level"], line["event"]) for line in lines] == [("info", "no keys yet")]
    assert "appliance keys create" in lines[0]["remedy"]


def test_first_key_of_a_box_is_no_recovery(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "new.sqlite3"
    with capture_logs() as lines, closing(KeyRing(path, clock)) as ring:
        KeyStore(path).create("app", now=0.0)
        clock.now += RETRY_SECONDS
        ring.refresh()
    assert [(line["log_level"], line["event"]) for line in lines] == [("info", "no keys yet"), ("info", "first keys")]


def test_a_database_that_was_lost_before_the_start_is_an_error(store: KeyStore, key: str, clock: Clock) -> None:
    for path in store.path.parent.glob("keys.sqlite3*"):
        path.unlink()
    with capture_logs() as lines, closing(KeyRing(store.path, clock)):
        pass
    assert [line["log_level"] for line in lines] == ["error"]
