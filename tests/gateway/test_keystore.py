"""Claims about ``gateway.keystore``."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.core.limits import Limits
from appliance.errors import KeyStoreError, StateUnusable
from appliance.gateway import key_database
from appliance.gateway.keystore import KeyStore

LIMITS = Limits(requests_per_minute=10, tokens_per_minute=1000, concurrent_requests=3, tokens_per_day=50_000)
HOUR = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys.sqlite3")


def test_everything_a_key_may_do_is_stored(store: KeyStore) -> None:
    made, _ = store.create(
        "앱",
        now=1.0,
        expires_at=9.0,
        models=frozenset({"m1", "gpt-4"}),
        aliases={"gpt-4": "m1", "gpt-4o": ""},
        priority="batch",
        limits=LIMITS,
    )
    (stored,) = store.list()
    assert stored == made
    assert (stored.models, stored.aliases["gpt-4o"], stored.priority, stored.limits) == (
        {"m1", "gpt-4"},
        "",
        "batch",
        LIMITS,
    )


def test_a_key_without_limits_has_none(store: KeyStore) -> None:
    made, _ = store.create("app", now=1.0)
    assert made.limits.is_empty
    assert made.models is None


def test_the_secret_is_nowhere_in_the_files(store: KeyStore) -> None:
    _, key = store.create("app", now=1.0)
    secret = key.rsplit("-", 1)[1].encode()
    assert all(secret not in path.read_bytes() for path in store.path.parent.iterdir())
    assert store.path.stat().st_mode & 0o007 == 0


def test_rotation_makes_a_new_secret_with_the_same_rights_and_one_account(store: KeyStore) -> None:
    old, old_key = store.create("app", now=0.0, models=frozenset({"m"}), priority="batch", limits=LIMITS)
    new, new_key = store.rotate(old.key_id, now=100.0, overlap_seconds=24 * HOUR)
    assert new_key != old_key
    assert new.key_id != old.key_id
    assert (new.app, new.models, new.priority, new.limits, new.account) == (
        old.app,
        old.models,
        old.priority,
        old.limits,
        old.account,
    )
    kept = store.list()[0]
    assert kept.replaced_by == new.key_id
    assert kept.is_usable(100.0 + 24 * HOUR - 1)
    assert not kept.is_usable(100.0 + 24 * HOUR)
    assert new.is_usable(1e12)


def test_rotation_never_lengthens_the_old_key(store: KeyStore) -> None:
    old, _ = store.create("app", now=0.0, expires_at=HOUR)
    store.rotate(old.key_id, now=10.0, overlap_seconds=24 * HOUR)
    assert store.list()[0].expires_at == HOUR


def test_a_rotated_key_lives_as_long_as_the_old_one_was_meant_to(store: KeyStore) -> None:
    old, _ = store.create("app", now=0.0, expires_at=10 * HOUR)
    new, _ = store.rotate(old.key_id, now=9 * HOUR, overlap_seconds=HOUR)
    assert new.expires_at == 19 * HOUR
    third, _ = store.rotate(new.key_id, now=10 * HOUR, overlap_seconds=HOUR, expires_at=11 * HOUR)
    assert third.expires_at == 11 * HOUR
    assert third.account == old.account


def test_rotation_without_an_overlap_ends_the_old_key_at_once(store: KeyStore) -> None:
    old, _ = store.create("app", now=0.0)
    store.rotate(old.key_id, now=5.0, overlap_seconds=0)
    assert not store.list()[0].is_usable(5.0)


def test_a_key_that_is_unknown_revoked_expired_or_rotated_cannot_be_rotated(store: KeyStore) -> None:
    revoked, _ = store.create("a", now=0.0)
    store.revoke(revoked.key_id, now=1.0)
    expired, _ = store.create("b", now=0.0, expires_at=1.0)
    rotated, _ = store.create("c", now=0.0)
    store.rotate(rotated.key_id, now=1.0, overlap_seconds=HOUR)
    count = len(store.list())
    for key_id in ("abcdefgh", revoked.key_id, expired.key_id, rotated.key_id):
        with pytest.raises(KeyStoreError):
            store.rotate(key_id, now=2.0, overlap_seconds=HOUR)
    assert len(store.list()) == count


def test_a_change_holds_for_the_whole_account_and_leaves_the_rest_as_it_is(store: KeyStore) -> None:
    old, _ = store.create("app", now=0.0, limits=LIMITS)
    new, _ = store.rotate(old.key_id, now=10.0, overlap_seconds=HOUR)
    other, _ = store.create("other", now=0.0, limits=LIMITS)
    store.change(new.key_id, now=20.0, limits={"requests_per_minute": 7, "tokens_per_day": None}, priority="batch")
    stored = {key.key_id: key for key in store.list()}
    for key_id in (old.key_id, new.key_id):
        assert stored[key_id].limits == replace(LIMITS, requests_per_minute=7, tokens_per_day=None)
        assert stored[key_id].priority == "batch"
    assert stored[other.key_id] == other


def test_a_change_of_no_usable_key_or_to_no_number_changes_nothing(store: KeyStore) -> None:
    key, _ = store.create("app", now=0.0, limits=LIMITS)
    with pytest.raises(KeyStoreError):
        store.change("nonesuch", now=1.0, limits={"requests_per_minute": 7})
    with pytest.raises(KeyStoreError):
        store.change(key.key_id, now=1.0, limits={"requests_per_minute": -1})
    store.revoke(key.key_id, now=2.0)
    with pytest.raises(KeyStoreError):
        store.change(key.key_id, now=3.0, limits={"requests_per_minute": 7})
    assert store.list()[0].limits == LIMITS


def test_a_key_is_revoked_once(store: KeyStore) -> None:
    made, _ = store.create("app", now=0.0)
    assert store.revoke(made.key_id, now=3.0).revoked_at == 3.0
    with pytest.raises(KeyStoreError):
        store.revoke(made.key_id, now=4.0)


@pytest.mark.parametrize("name", ["", "x" * 65, "two\nlines"])
def test_an_apps_name_is_one_short_line(store: KeyStore, name: str) -> None:
    with pytest.raises(KeyStoreError):
        store.create(name, now=0.0)


@pytest.mark.parametrize("value", [0, -1, 10**13])
def test_a_limit_is_a_positive_number(store: KeyStore, value: int) -> None:
    with pytest.raises(KeyStoreError):
        store.create("app", now=0.0, limits=Limits(tokens_per_day=value))


def test_a_locked_or_damaged_database_says_what_is_wrong(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_database, "BUSY_SECONDS", 0.0)
    store.create("app", now=0.0)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateUnusable, match="holds it locked"):
            store.create("other", now=0.0)
    store.path.write_bytes(b"no database " * 1000)
    with pytest.raises(StateUnusable, match="damaged"):
        store.list()


def test_commands_at_the_same_time_all_succeed(store: KeyStore) -> None:
    failures: list[BaseException] = []

    def make(number: int) -> None:
        try:
            store.create(f"app {number}", now=float(number))
        except BaseException as err:  # noqa: BLE001  a thread's failure must reach the assertion
            failures.append(err)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(store.list()) == 8


def test_only_the_first_key_makes_a_database(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "state" / "keys.sqlite3")
    for call in (
        store.list,
        lambda: store.rotate("abcdefgh", now=1.0, overlap_seconds=0),
        lambda: store.change("abcdefgh", now=1.0, limits={}),
        lambda: store.revoke("abcdefgh", now=1.0),
    ):
        with pytest.raises(StateUnusable, match=r"There is no key database at .*keys\.sqlite3\. Restore it"):
            call()
    assert list(tmp_path.iterdir()) == []
    store.create("app", now=1.0)
    assert len(store.list()) == 1
