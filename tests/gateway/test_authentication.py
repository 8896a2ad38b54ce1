"""Who asks is decided by the key, on the ASGI path alone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from appliance.errors import InvalidKey
from appliance.gateway import exchange
from appliance.gateway.asgi import Receive, Scope, Send
from appliance.gateway.authentication import Authenticate
from appliance.gateway.exchange import Exchange
from appliance.gateway.keyring import KeyRing
from appliance.gateway.keystore import KeyStore
from tests.gateway.conftest import CHAT, Gateway

OTHER = "sk-appliance-abcdefgh-" + "A" * 43


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"authorization": "Basic abc"}, "missing_api_key"),
        ({"authorization": "Bearer"}, "missing_api_key"),
        ({"authorization": "Bearer x"}, "invalid_api_key"),
        ({"authorization": f"Bearer {OTHER}"}, "invalid_api_key"),
        ({"authorization": "Bearer \xff\xfe"}, "invalid_api_key"),
    ],
)
def test_request_without_a_good_key_is_401(gateway: Gateway, headers: dict[str, str], code: str) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    response = httpx.post(f"{gateway.url}/v1/chat/completions", json=CHAT, headers=encoded)
    assert (response.status_code, response.json()["error"]["code"]) == (401, code)
    assert gateway.engine.generations() == []


def test_two_authorization_headers_are_refused(gateway: Gateway) -> None:
    headers = [("authorization", f"Bearer {gateway.key}"), ("authorization", f"Bearer {OTHER}")]
    assert httpx.get(f"{gateway.url}/v1/models", headers=headers).status_code == 401


def test_unknown_routes_do_not_show_without_a_key(gateway: Gateway) -> None:
    assert httpx.get(f"{gateway.url}/nope").status_code == 401


def test_host_header_cannot_turn_a_protected_path_into_an_open_one(gateway: Gateway) -> None:
    for host in ("x/health/live?", "x#", "[::1]/health/live", "health"):
        response = httpx.get(f"{gateway.url}/v1/models", headers={"host": host})
        assert response.status_code == 401, host


def test_official_sdk_sees_an_authentication_error(gateway: Gateway) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert caught.value.code == "invalid_api_key"


def test_revoked_key_is_refused_at_once(gateway: Gateway) -> None:
    assert gateway.chat().status_code == 200
    gateway.store.revoke(gateway.key_id, now=time.time())
    assert gateway.chat().status_code == 401


def test_new_key_works_at_once(gateway: Gateway) -> None:
    _, key = gateway.store.create("other-app", now=time.time())
    assert httpx.get(f"{gateway.url}/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200


def test_health_needs_no_key(gateway: Gateway) -> None:
    assert httpx.get(f"{gateway.url}/health/live").status_code == 200
    assert httpx.get(f"{gateway.url}/health/ready").status_code == 200


@pytest.mark.anyio
async def test_requests_of_one_turn_share_a_look_at_the_keys_and_the_next_turn_looks_again(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.sqlite3")
    record, key = store.create("app", now=time.time())
    ring = KeyRing(tmp_path / "keys.sqlite3")
    passed: list[str] = []

    async def inner(scope: Scope, _receive: Receive, _send: Send) -> None:
        passed.append(exchange.of(scope).app)

    async def unused(*_: Any) -> Any:
        raise AssertionError

    layer = Authenticate(inner, ring, frozenset())

    async def ask() -> None:
        scope = {"type": "http", "path": "/x", "headers": [(b"authorization", f"Bearer {key}".encode())]}
        exchange.attach(scope, Exchange("req-1", "/x", "GET", 0.0))
        await layer(scope, unused, unused)

    looks = 0
    refresh = ring.refresh

    def count() -> None:
        nonlocal looks
        looks += 1
        refresh()

    ring.refresh = count  # type: ignore[method-assign]
    await asyncio.gather(*(ask() for _ in range(5)))
    assert (len(passed), looks) == (5, 1)
    store.revoke(record.key_id, now=time.time())
    with pytest.raises(InvalidKey):
        await ask()
    assert looks == 2
    ring.close()
