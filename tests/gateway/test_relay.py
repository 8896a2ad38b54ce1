"""Bytes pass on as they are; a client that leaves ends the work."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from appliance.gateway.admission import Admission
from appliance.gateway.cache_salt import CacheSalt
from appliance.gateway.caller import Caller
from appliance.gateway.exchange import Exchange
from appliance.gateway.metrics import Metrics
from appliance.gateway.privacy import Forwarded
from appliance.gateway.readiness import Probe
from appliance.gateway.relay import Relay
from appliance.settings import GatewaySettings
from tests.fakes.engine import INTERNAL_TEXT, MODEL, FakeEngine
from tests.gateway.conftest import CHAT, Gateway, start


def sdk(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=10)


def stream_bytes(gateway: Gateway, **fields: object) -> bytes:
    with (
        gateway.client() as client,
        client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True, **fields}) as response,
    ):
        return b"".join(response.iter_raw())


def last_event(raw: bytes) -> dict[str, object]:
    event: dict[str, object] = json.loads(raw.rstrip().rsplit(b"\n\n", 1)[-1].removeprefix(b"data: "))
    return event


def test_answer_reaches_the_client_byte_for_byte(gateway: Gateway) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(gateway.engine.path)), base_url="http://engine") as direct:
        expected = direct.post("/v1/chat/completions", json={**CHAT, "model": MODEL}).content
    assert gateway.chat().content == expected


def test_stream_reaches_the_client_byte_for_byte(gateway: Gateway) -> None:
    asked = {**CHAT, "model": MODEL, "stream": True, "stream_options": {"include_usage": True}}
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(gateway.engine.path)), base_url="http://engine") as direct:
        expected = direct.post("/v1/chat/completions", json=asked).content
    assert stream_bytes(gateway, stream_options={"include_usage": True}) == expected
    assert expected.endswith(b"data: [DONE]\n\n")


def test_usage_event_is_left_out_for_a_client_that_did_not_ask(gateway: Gateway) -> None:
    raw = stream_bytes(gateway)
    assert b'"usage"' not in raw
    assert raw.endswith(b"data: [DONE]\n\n")


def test_official_sdk_reads_the_stream_and_its_usage(gateway: Gateway) -> None:
    stream = sdk(gateway).chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "x"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).startswith("tok0 tok1")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


def test_engine_gets_our_request_id_and_never_the_clients(gateway: Gateway) -> None:
    with gateway.client() as client:
        response = client.post("/v1/chat/completions", json=CHAT, headers={"x-request-id": "evil\tid"})
    seen = gateway.engine.generations()[-1]
    assert seen.headers["x-request-id"] == response.headers["x-request-id"]
    assert "authorization" not in seen.headers


def test_client_that_leaves_a_stream_cancels_its_generation(gateway: Gateway) -> None:
    gateway.engine.mode = "slow"
    gateway.engine.tokens = 1000
    with (
        gateway.client() as client,
        client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response,
    ):
        next(response.iter_raw())
    assert gateway.engine.wait_for_abandoned(1)


def test_client_that_leaves_before_the_answer_cancels_its_generation(gateway: Gateway) -> None:
    gateway.engine.mode = "slow"
    gateway.engine.tokens = 1000
    body = json.dumps(CHAT).encode()
    with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            + f"authorization: Bearer {gateway.key}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert gateway.engine.wait_for_generations(1)
    assert gateway.engine.wait_for_abandoned(1)


@pytest.mark.parametrize("mode", ["dies_in_stream", "dies_in_event", "ends_early", "error_event", "hangs_in_stream"])
def test_failure_in_mid_stream_is_one_last_error_event(gateway: Gateway, mode: str) -> None:
    gateway.engine.mode = mode
    raw = stream_bytes(gateway)
    event = last_event(raw)
    assert raw.startswith(b'data: {"id"')
    assert event["error"]["code"] in {"engine_failed", "engine_timeout"}  # type: ignore[index]
    assert b"[DONE]" not in raw
    assert INTERNAL_TEXT.encode() not in raw
    assert all(part.startswith(b"data: {") for part in raw.rstrip().split(b"\n\n")), "no torn event"


def test_official_sdk_raises_on_a_failure_in_mid_stream(gateway: Gateway) -> None:
    gateway.engine.mode = "dies_in_stream"
    stream = sdk(gateway).chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "x"}], stream=True
    )
    with pytest.raises(openai.APIError, match="failed while it answered"):
        list(stream)


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [
        ("dies_before_answer", 503, "engine_unavailable"),
        ("garbage", 503, "engine_unavailable"),
        ("garbage_body", 502, "engine_failed"),
        ("overflow", 400, "context_length_exceeded"),
        ("refuses", 400, "invalid_request"),
        ("fails", 502, "engine_failed"),
        ("starting", 503, "engine_unavailable"),
        ("hangs", 504, "engine_timeout"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_engine_failure_is_answered_in_our_own_words(
    gateway: Gateway, mode: str, status: int, code: str, stream: bool
) -> None:
    if mode == "garbage_body" and stream:
        status, code = 502, "engine_failed"
    gateway.engine.mode = mode
    response = gateway.chat(stream=stream)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert INTERNAL_TEXT not in response.text
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_overflow_names_both_numbers(gateway: Gateway) -> None:
    gateway.engine.mode = "overflow"
    message = gateway.chat().json()["error"]["message"]
    assert "2048" in message
    assert "5000" in message


def test_killed_engine_is_503_at_once_and_service_resumes_with_it(gateway: Gateway) -> None:
    gateway.engine.stop()
    response = gateway.chat()
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    gateway.wait_ready(False)
    gateway.engine.start()
    gateway.wait_ready()
    assert gateway.chat().status_code == 200


def test_hung_engine_refuses_further_requests_instead_of_keeping_them(state_dir: Path, engine: FakeEngine) -> None:
    for gateway in start(
        state_dir, engine, engine_first_byte_timeout_seconds=300, probe_timeout_seconds=0.1, ready_window_seconds=0.2
    ):
        gateway.wait_ready()
        engine.mode = "hangs"
        gateway.wait_ready(False)
        response = gateway.chat()
        assert (response.status_code, response.json()["error"]["code"]) == (503, "engine_unavailable")


class _Answer:
    """An engine's answer in pieces; the client leaves before the piece of that number is read."""

    def __init__(self, caller: Caller, pieces: list[bytes], leaves_before: int) -> None:
        self.status = 200
        self._caller = caller
        self._pieces = pieces
        self._leaves_before = leaves_before
        self._read = 0

    async def pieces(self) -> bytes:
        if self._read == self._leaves_before:
            self._caller.leave()
        self._read += 1
        return self._pieces[self._read - 1] if self._read <= len(self._pieces) else b""

    async def read(self) -> bytes:
        return await self.pieces()

    def close(self) -> None:
        pass


TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("stream", "pieces", "leaves_before", "cancelled"),
    [
        (True, [TOKEN, TOKEN, DONE], 1, True),
        (True, [TOKEN, TOKEN, DONE], 3, False),  # the SDKs close at [DONE]
        (True, [TOKEN, TOKEN, DONE], 9, False),
        (False, [b'{"choices":[]}'], 0, True),
        (False, [b'{"choices":[]}'], 9, False),
    ],
)
async def test_answer_that_came_whole_after_its_client_had_gone_is_cancelled(
    stream: bool, pieces: list[bytes], leaves_before: int, cancelled: bool
) -> None:
    caller = Caller()

    class Engine:
        async def request(self, *_: object, **__: object) -> _Answer:
            return _Answer(caller, pieces, leaves_before)

    async def send(_message: object) -> None:
        pass

    settings = GatewaySettings()
    engine: Any = Engine()
    probe = Probe(engine, {}, interval_seconds=1, timeout_seconds=1, window_seconds=1)
    admission = Admission(settings, Path("/nonexistent"), is_hung=lambda: False)
    relay = Relay(engine, probe, admission, CacheSalt(b"s"), Metrics())
    this = Exchange("req-1", "/v1/chat/completions", "POST", 0.0)
    await relay("/v1/chat/completions", Forwarded(b"{}", "m", stream, show_usage=False), this, caller, send)
    assert this.cancelled is cancelled
