"""Each account shares the engine's prefix cache with itself alone."""

from __future__ import annotations

import json

from appliance.gateway.cache_salt import CacheSalt

PAYLOAD = b'{"model":"m","messages":[]}'


def salt(of: CacheSalt, account: str) -> str:
    return str(json.loads(of.into(PAYLOAD, account))["cache_salt"])


def test_the_rest_of_the_payload_stays_as_it_was() -> None:
    salted = json.loads(CacheSalt(b"x" * 32).into(PAYLOAD, "a"))
    assert {name: value for name, value in salted.items() if name != "cache_salt"} == json.loads(PAYLOAD)


def test_an_account_keeps_its_salt_and_no_other_has_it() -> None:
    salts = CacheSalt(b"x" * 32)
    assert salt(salts, "a") == salt(salts, "a")
    assert salt(salts, "a") != salt(salts, "b")


def test_a_salt_cannot_be_guessed_from_the_account() -> None:
    assert salt(CacheSalt(b"x" * 32), "a") != salt(CacheSalt(b"y" * 32), "a")
    assert len(salt(CacheSalt(b"x" * 32), "a")) == 64
