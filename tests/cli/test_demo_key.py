"""Claims about ``cli.demo_key``."""

from __future__ import annotations

import time

from appliance import settings
from appliance.cli import demo_key
from appliance.gateway.keystore import KeyStore


def test_a_key_is_made_once_kept_for_the_owner_only_and_used_again(state_dir) -> None:
    tree = settings.load(state_dir=state_dir)

    first, second = demo_key.provide(tree), demo_key.provide(tree)

    assert (first.reused, second.reused) == (False, True)
    assert first.key == second.key
    assert (state_dir / "demo-key").stat().st_mode & 0o777 == 0o600


def test_a_revoked_key_is_replaced(state_dir) -> None:
    tree = settings.load(state_dir=state_dir)
    first = demo_key.provide(tree)
    store = KeyStore(tree.key_database_path)
    store.revoke(store.list()[0].key_id, now=time.time())

    second = demo_key.provide(tree)

    assert not second.reused
    assert second.key != first.key
    assert (state_dir / "demo-key").read_text().strip() == second.key


def test_a_file_that_holds_no_key_is_replaced(state_dir) -> None:
    (state_dir / "demo-key").write_bytes(b"\xff nonsense")

    assert not demo_key.provide(settings.load(state_dir=state_dir)).reused
