"""The gateway holds each key to its limits, however many requests come at once."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from appliance.core.catalogue import Catalogue
from appliance.core.limits import Limits
from tests.fakes.engine import MODEL, FakeEngine
from tests.gateway.conftest import CHAT, Gateway, start

#: What the fake engine counts for one answer: 7 of the prompt, 5 generated.
COST = 12
PARALLEL = 1000


def key_with(gateway: Gateway, **limits: int) -> dict[str, str]:
    _, key = gateway.store.create("limited", now=time.time(), limits=Limits(**limits))
    return {"authorization": f"Bearer {key}"}


def ask(gateway: Gateway, headers: dict[str, str], **fields: Any) -> httpx.Response:
    with gateway.client(headers=headers) as client:
        return client.post("/v1/chat/completions", json={**CHAT, **fields})


def test_changed_limit_holds_from_the_next_request_on(gateway: Gateway) -> None:
    record, key = gateway.store.create("limited", now=time.time(), limits=Limits(requests_per_minute=1))
    headers = {"authorization": f"Bearer {key}"}
    assert [ask(gateway, headers).status_code for _ in range(2)] == [200, 429]
    gateway.store.change(record.key_id, now=time.time(), limits={"requests_per_minute": 3})
    assert [ask(gateway, headers).status_code for _ in range(3)] == [200, 200, 429]


def test_request_that_names_no_length_cannot_pass_its_limit(gateway: Gateway) -> None:
    gateway.engine.tokens = 900
    _, key = gateway.store.create("limited", now=time.time(), limits=Limits(tokens_per_day=200))
    headers = {"authorization": f"Bearer {key}"}
    answer = ask(gateway, headers, n=2)
    asked = gateway.engine.generations()[-1].json
    assert answer.status_code == 200
    # What the prompt is counted as and both answers' length are all that there is.
    assert 0 < asked["max_tokens"] * 2 < 200
    assert answer.json()["usage"]["total_tokens"] <= 200


def test_request_that_names_no_length_is_bounded_where_the_engine_tells_no_context(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Catalogue, "context_tokens", lambda *_: 0)
    with FakeEngine(state_dir / "engine.sock") as engine:
        for gateway in start(state_dir, engine, max_output_tokens=77):
            gateway.wait_ready()
            assert gateway.chat().status_code == 200
            assert engine.generations()[-1].json["max_tokens"] == 77


def test_request_of_a_key_without_token_limits_is_not_shortened(gateway: Gateway) -> None:
    assert gateway.chat().status_code == 200
    assert "max_tokens" not in gateway.engine.generations()[-1].json


async def _one(port: int, wire: bytes, begin: asyncio.Event) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await begin.wait()
        writer.write(wire)
        status = int((await reader.readline()).split()[1])
        await reader.read()
        return status
    finally:
        writer.close()


def at_once(gateway: Gateway, headers: dict[str, str], count: int = PARALLEL, **fields: Any) -> Counter[int]:
    """Statuses of that many requests, each on a connection of its own, all open before the first is sent."""
    body = json.dumps({**CHAT, **fields}).encode()
    wire = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
        + f"authorization: {headers['authorization']}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )

    async def run() -> Counter[int]:
        begin = asyncio.Event()
        tasks = [asyncio.create_task(_one(gateway.port, wire, begin)) for _ in range(count)]
        await asyncio.sleep(0)
        begin.set()
        return Counter(await asyncio.gather(*tasks))

    return asyncio.run(run())


@pytest.mark.parametrize("stream", [False, True])
def test_a_thousand_requests_at_once_cannot_pass_a_limit_of_ten_a_minute(gateway: Gateway, stream: bool) -> None:
    headers = key_with(gateway, requests_per_minute=10)
    assert at_once(gateway, headers, stream=stream) == {200: 10, 429: PARALLEL - 10}
    assert len(gateway.engine.generations()) == 10


def test_a_thousand_requests_at_once_cannot_pass_a_limit_of_tokens(gateway: Gateway) -> None:
    for limits in ({"tokens_per_minute": 1000}, {"tokens_per_day": 1000}):
        headers = key_with(gateway, **limits)
        before = len(gateway.engine.generations())
        statuses = at_once(gateway, headers, max_tokens=60)
        passed = len(gateway.engine.generations()) - before
        assert statuses == {200: passed, 429: PARALLEL - passed}
        assert passed >= 8
        assert passed * COST <= 1000


def test_requests_at_once_are_limited_and_each_that_ends_lets_another_in(gateway: Gateway) -> None:
    headers = key_with(gateway, concurrent_requests=3)
    gateway.engine.mode = "slow"
    statuses = at_once(gateway, headers, count=50)
    assert statuses[429] >= 40
    gateway.engine.mode = "normal"
    assert [ask(gateway, headers).status_code for _ in range(10)] == [200] * 10


def test_a_key_without_limits_has_none_and_no_headers(gateway: Gateway) -> None:
    answers = [gateway.chat() for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert not [name for name in answers[-1].headers if name.startswith("x-ratelimit")]


def test_one_key_s_limit_does_not_touch_another(gateway: Gateway) -> None:
    limited = key_with(gateway, requests_per_minute=1)
    assert [ask(gateway, limited).status_code for _ in range(2)] == [200, 429]
    assert gateway.chat().status_code == 200


def test_every_response_of_a_limited_key_says_what_is_left(gateway: Gateway) -> None:
    headers = key_with(gateway, requests_per_minute=5, tokens_per_minute=10_000)
    answer = ask(gateway, headers)
    said = {name: value for name, value in answer.headers.items() if name.startswith("x-ratelimit")}
    assert said["x-ratelimit-limit-requests"] == "5"
    assert said["x-ratelimit-remaining-requests"] == "4"
    assert said["x-ratelimit-limit-tokens"] == "10000"
    assert said["x-ratelimit-remaining-tokens"] == str(10_000 - COST)
    assert said["x-ratelimit-reset-requests"].endswith("s")
    assert said["x-ratelimit-reset-tokens"].endswith("s")
    with gateway.client(headers=headers) as client:
        listing = client.get("/v1/models")
        refused = client.post("/v1/chat/completions", json={"model": "gpt-4"})
        nowhere = client.get("/nowhere")
    assert (listing.status_code, refused.status_code, nowhere.status_code) == (200, 400, 404)
    assert listing.headers["x-ratelimit-remaining-requests"] == "4", "a listing costs nothing"
    assert refused.headers["x-ratelimit-remaining-requests"] == "3", "a request that is not valid costs a request"
    assert refused.headers["x-ratelimit-remaining-tokens"] == str(10_000 - COST)
    assert nowhere.headers["x-ratelimit-remaining-requests"] == "3"


def test_refusal_says_when_to_come_again_and_the_official_sdk_waits_for_it(gateway: Gateway) -> None:
    headers = key_with(gateway, requests_per_minute=1)
    ask(gateway, headers)
    answer = ask(gateway, headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 55_000 < int(answer.headers["retry-after-ms"]) <= 60_100
    assert 55 < int(answer.headers["retry-after"]) <= 61
    assert answer.headers["x-should-retry"] == "true"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    key = headers["authorization"].removeprefix("Bearer ")
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "x"}])


def test_used_up_day_is_insufficient_quota_that_is_not_worth_a_retry(gateway: Gateway) -> None:
    headers = key_with(gateway, tokens_per_day=100)
    assert ask(gateway, headers, max_tokens=5).status_code == 200
    answer = ask(gateway, headers, max_tokens=90)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert answer.json()["error"]["type"] == "insufficient_quota"
    assert answer.headers["x-should-retry"] == "false"
    assert 0 < int(answer.headers["retry-after"]) <= 90_000
    assert answer.headers["x-ratelimit-remaining-tokens"] == str(100 - COST)


def left(gateway: Gateway, headers: dict[str, str]) -> int:
    with gateway.client(headers=headers) as client:
        return int(client.get("/v1/models").headers["x-ratelimit-remaining-tokens"])


@pytest.mark.parametrize("mode", ["dies_before_answer", "refuses", "overflow", "fails", "starting"])
def test_what_the_engine_did_not_work_on_costs_no_tokens(gateway: Gateway, mode: str) -> None:
    headers = key_with(gateway, tokens_per_minute=5000)
    gateway.engine.mode = mode
    assert ask(gateway, headers, max_tokens=1000).status_code >= 400
    assert left(gateway, headers) == 5000


def test_failed_stream_costs_what_the_engine_counted_of_it(gateway: Gateway) -> None:
    headers = key_with(gateway, tokens_per_minute=5000)
    gateway.engine.mode = "dies_in_stream"
    ask(gateway, headers, max_tokens=1000, stream=True)
    assert 5000 - 7 - 1000 < left(gateway, headers) < 5000 - 7


def test_cancelled_stream_gives_back_what_it_did_not_use(gateway: Gateway) -> None:
    headers = key_with(gateway, tokens_per_minute=5000, concurrent_requests=1)
    gateway.engine.mode, gateway.engine.tokens = "slow", 1000
    with (
        gateway.client(headers=headers) as client,
        client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True, "max_tokens": 4000}) as response,
    ):
        assert int(response.headers["x-ratelimit-remaining-tokens"]) < 1000, "reserved while it runs"
        next(response.iter_raw())
    assert gateway.engine.wait_for_abandoned(1)
    deadline = time.monotonic() + 5
    while (remaining := left(gateway, headers)) < 4000:
        assert time.monotonic() < deadline, "a cancelled stream kept its reservation"
    assert remaining < 5000 - 7, "its prompt and what came of it count"
    gateway.engine.mode, gateway.engine.tokens = "normal", 5
    assert ask(gateway, headers, max_tokens=5).status_code == 200, "its place is free again"


def test_answer_cancelled_before_it_came_costs_its_prompt(gateway: Gateway) -> None:
    headers = key_with(gateway, tokens_per_minute=5000)
    gateway.engine.mode = "hangs"
    with gateway.client(headers=headers, timeout=0.2) as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json={**CHAT, "max_tokens": 4000})
    assert gateway.engine.wait_for_abandoned(1)
    deadline = time.monotonic() + 5
    while (remaining := left(gateway, headers)) < 4000:
        assert time.monotonic() < deadline
    assert 4900 < remaining < 5000


def test_rotated_keys_share_their_limits(gateway: Gateway) -> None:
    record, old = gateway.store.create("limited", now=time.time(), limits=Limits(requests_per_minute=3))
    _, new = gateway.store.rotate(record.key_id, now=time.time(), overlap_seconds=3600)
    keys = [{"authorization": f"Bearer {key}"} for key in (old, new, old, new)]
    assert [ask(gateway, headers).status_code for headers in keys] == [200, 200, 200, 429]


def test_key_may_use_its_models_only(gateway: Gateway) -> None:
    _, key = gateway.store.create(
        "narrow", now=time.time(), models=frozenset({"tutor"}), aliases={"tutor": "", "other": MODEL}
    )
    headers = {"authorization": f"Bearer {key}"}
    assert ask(gateway, headers, model="tutor").json()["model"] == MODEL
    for model in ("gpt-4o", MODEL, "other"):
        answer = ask(gateway, headers, model=model)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied"), model
    assert ask(gateway, headers, model="none").status_code == 404
    with gateway.client(headers=headers) as client:
        assert [card["id"] for card in client.get("/v1/models").json()["data"]] == ["tutor"]
        assert client.get(f"/v1/models/{MODEL}").status_code == 404
        assert client.get("/v1/models/tutor").status_code == 200
    assert gateway.chat(model="tutor").status_code == 404, "an alias of one key is none of another's"


def test_lost_key_database_takes_no_key_away(gateway: Gateway) -> None:
    headers = key_with(gateway, requests_per_minute=100)
    assert ask(gateway, headers).status_code == 200
    saved = gateway.store.path.with_name("saved")
    gateway.store.path.rename(saved)
    try:
        assert {ask(gateway, headers).status_code for _ in range(5)} == {200}
        unknown = {"authorization": "Bearer sk-appliance-abcdefgh-" + "A" * 43}
        assert ask(gateway, unknown).status_code == 503
    finally:
        saved.rename(gateway.store.path)
    deadline = time.monotonic() + 5
    while ask(gateway, unknown).status_code != 401:
        assert time.monotonic() < deadline, "the gateway did not find its key database again"


def test_day_counter_survives_a_restart(state_dir: Path, engine: FakeEngine) -> None:
    headers: dict[str, str] = {}
    for gateway in start(state_dir, engine):
        gateway.wait_ready()
        headers = key_with(gateway, tokens_per_day=100)
        assert ask(gateway, headers, max_tokens=5).status_code == 200
    for gateway in start(state_dir, engine):
        gateway.wait_ready()
        assert left(gateway, headers) == 100 - COST
        assert ask(gateway, headers, max_tokens=90).status_code == 429
