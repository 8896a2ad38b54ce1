"""The attacks that vLLM's advisories describe, sent to the gateway: each is refused and none reaches the engine.

Every test is named by the ids it stands for; what the launch line and the
model directory rule out is in tests/engine/test_engine_attacks.py, and
tests/contracts/test_attack_ids.py holds the list of ids.
"""

from __future__ import annotations

import asyncio
import http.client
import random
import string
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.gateway.exposition import Exposition
from appliance.gateway.families import NO_APP
from appliance.gateway.operations import ROUTES as ROUTE_LABELS
from tests.gateway.conftest import CHAT, Gateway

ROUTES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"model": "gpt-4o", "prompt": "47 + 38?"},
    "/v1/responses": {"model": "gpt-4o", "input": "47 + 38?"},
}
BOMB = r"^(a+)+$"
INSIDE = "http://169.254.169.254/latest/meta-data"


def send(gateway: Gateway, path: str, **fields: Any) -> httpx.Response:
    with gateway.client() as client:
        return client.post(path, json={**ROUTES[path], **fields})


def assert_refused(gateway: Gateway, answer: httpx.Response, *codes: str) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] in (codes or ("refused_field", "invalid_request"))
    assert gateway.engine.generations() == []


def format_fields(path: str, schema: Any) -> dict[str, Any]:
    """A request for JSON by this schema, as the route has it."""
    if path == "/v1/responses":
        return {"text": {"format": {"type": "json_schema", "name": "x", "schema": schema}}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": INSIDE}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "audio_url", "audio_url": {"url": INSIDE}},
        {"type": "video_url", "video_url": {"url": INSIDE}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
    ],
)
def test_cve_2026_24779_cve_2026_34753_nothing_is_fetched_for_a_message(gateway: Gateway, part: Any) -> None:
    assert_refused(gateway, send(gateway, "/v1/chat/completions", messages=[{"role": "user", "content": [part]}]))
    item = {"role": "user", "content": [{"type": "input_image", "image_url": INSIDE}, part]}
    assert_refused(gateway, send(gateway, "/v1/responses", input=[item]))


def test_cve_2026_116176_request_id_of_the_client_reaches_nobody(gateway: Gateway) -> None:
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json=CHAT, headers={"x-request-id": INSIDE})
    (seen,) = gateway.engine.generations()
    assert seen.headers["x-request-id"] == answer.headers["x-request-id"]
    assert seen.headers["x-request-id"].startswith("req-")
    assert INSIDE not in str(seen.headers)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/../../health/live",
        "//health/live",
        "/health/live/../../v1/models",
        "/health/live;/v1/models",
        "/health%2flive/../v1/models",
        "/HEALTH/LIVE",
    ],
)
def test_cve_2026_48746_no_spelling_of_a_path_goes_round_the_key(gateway: Gateway, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)  # httpx would tidy the path up
    with closing(connection):
        connection.request("GET", path)
        assert connection.getresponse().status == 401


@pytest.mark.parametrize("host", ["127.0.0.1/health/live?", "health/live", "127.0.0.1/health/live#", "x:y@127.0.0.1"])
def test_cve_2026_48710_no_host_header_goes_round_the_key(gateway: Gateway, host: str) -> None:
    with gateway.client(headers={"host": host}) as client:
        answer = client.get("/v1/models")
    assert answer.status_code in {400, 401, 421}, answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(
            ("POST", f"/{name}")
            for name in ["invocations", "tokenize", "detokenize", "pause", "resume", "sleep", "wake_up"]
        ),
        *(
            ("POST", f"/{name}")
            for name in ["update_weights", "scale_elastic_ep", "reset_prefix_cache", "collective_rpc"]
        ),
        *(
            ("POST", f"/{name}")
            for name in ["pooling", "classify", "score", "rerank", "load_lora_adapter", "start_profile"]
        ),
        *(
            ("POST", f"/v1/{name}")
            for name in ["load_lora_adapter", "unload_lora_adapter", "score", "rerank", "messages"]
        ),
        *(("POST", f"/v1/{name}") for name in ["audio/transcriptions", "images/generations", "files", "batches"]),
        *(
            ("GET", f"/{name}")
            for name in ["load", "version", "metrics", "server_info", "ping", "health", "docs", "openapi.json"]
        ),
        *(("GET", f"/v1/{name}") for name in ("responses/resp_1", "chat/completions/render", "realtime")),
        ("POST", "/inference/v1/generate"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("POST", "/v1/chat/completions/render"),
    ],
)
def test_engine_routes_of_vllm_guide_exist_for_nobody(gateway: Gateway, method: str, path: str) -> None:
    with gateway.client() as client:
        answer = client.request(method, path, json={} if method == "POST" else None)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
    assert [seen for seen in gateway.engine.seen if seen.path == path] == []


@pytest.mark.parametrize("path", ROUTES)
def test_cve_2025_32444_cve_2025_29783_cve_2025_30165_cve_2025_30202_no_transfer_is_asked_for(
    gateway: Gateway, path: str
) -> None:
    for field in ("kv_transfer_params", "ec_transfer_params"):
        assert_refused(gateway, send(gateway, path, **{field: {"remote_host": "10.0.0.1", "remote_port": 5555}}))


@pytest.mark.parametrize("path", ROUTES)
def test_cve_2025_32434_cve_2026_24747_pickled_tensors_are_refused(gateway: Gateway, path: str) -> None:
    assert_refused(gateway, send(gateway, path, prompt_embeds="gASVAAAAAAAAAAA="))


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "fields",
    [
        {"guided_regex": BOMB},
        {"guided_grammar": "root ::= root"},
        {"guided_json": {"pattern": BOMB}},
        {"guided_choice": ["a"] * 1000},
        {"guided_decoding_backend": "outlines"},
        {"structured_outputs": {"regex": BOMB}},
        {"structured_outputs": {"grammar": "root ::= root"}},
        {"structured_outputs": {"structural_tag": "{}"}},
        {"response_format": {"type": "structural_tag", "structures": [], "triggers": []}},
        {"response_format": {"type": "grammar", "grammar": "root ::= root"}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_cve_2025_29770_cve_2025_48942_ghsa_vrq3_r879_7m65_no_grammar_of_a_client_is_compiled(
    gateway: Gateway, path: str, fields: dict[str, Any]
) -> None:
    assert_refused(gateway, send(gateway, path, **fields))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("pattern", [BOMB, "(", "(?=a)b", r"\1", "a{1,9999}", ".*.*.*.*x", "[[:alpha:]]", "*"])
def test_cve_2025_48943_no_regular_expression_beyond_the_safe_subset(gateway: Gateway, path: str, pattern: str) -> None:
    assert_refused(gateway, send(gateway, path, **format_fields(path, {"type": "string", "pattern": pattern})))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_cve_2025_48942_types_that_do_not_exist_are_refused(gateway: Gateway, path: str) -> None:
    for schema in ({"type": "something"}, {"type": ["string", "x"]}, {"properties": {"a": {"type": "stsring"}}}):
        assert_refused(gateway, send(gateway, path, **format_fields(path, schema)))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_cve_2025_32381_cve_2026_105757_schemas_are_bounded_in_size_depth_and_loops(
    gateway: Gateway, path: str
) -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(100):
        deep = {"type": "object", "properties": {"a": deep}}
    wide = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(5000)}}
    huge = {"enum": ["x" * 1000] * 100}
    counted = {"type": "string", "maxLength": 10**9}
    looped = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    began = time.monotonic()
    for schema in (deep, wide, huge, counted, looped):
        for fields in (format_fields(path, schema), _tool(path, schema)):
            assert_refused(gateway, send(gateway, path, **fields), "invalid_request", "invalid_json")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize(
    "fields",
    [
        {"chat_template": "{% for i in range(10**9) %}x{% endfor %}"},
        {"chat_template_kwargs": {"chat_template": "{{ x }}"}},
        {"chat_template_kwargs": {"tokenize": True}},
        {"documents": [{"text": "x"}]},
        {"add_generation_prompt": False},
        {"continue_final_message": True},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_cve_2025_62426_cve_2026_115911_no_template_of_a_client_runs(
    gateway: Gateway, path: str, fields: dict[str, Any]
) -> None:
    assert_refused(gateway, send(gateway, path, **fields))


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"n": 10**9}),
        ("/v1/completions", {"n": 10**9}),
        ("/v1/completions", {"best_of": 10**9}),
        ("/v1/completions", {"prompt": ["x"] * 100_000}),
        ("/v1/chat/completions", {"max_tokens": 10**9}),
        ("/v1/chat/completions", {"max_completion_tokens": 10**9}),
        ("/v1/responses", {"max_output_tokens": 10**9}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}] * 20_000}),
        ("/v1/chat/completions", {"logit_bias": {str(i): 1 for i in range(50_000)}}),
        ("/v1/chat/completions", {"stop": ["x"] * 10_000}),
        ("/v1/chat/completions", {"logprobs": True, "top_logprobs": 10**6}),
        ("/v1/completions", {"logprobs": 10**6}),
        ("/v1/chat/completions", {"use_beam_search": True}),
    ],
)
def test_cve_2026_34756_no_number_multiplies_the_work(gateway: Gateway, path: str, fields: dict[str, Any]) -> None:
    assert_refused(gateway, send(gateway, path, **fields))


def test_cve_2026_34756_bodies_and_headers_are_capped(gateway: Gateway) -> None:
    with gateway.client() as client:
        large = b'{"model":"' + b"x" * (gateway.settings.gateway.max_body_bytes + 1) + b'"}'
        answer = client.post("/v1/chat/completions", content=large, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")
    with gateway.client() as client:
        answer = client.get("/v1/models", headers={"x-much": "x" * (gateway.settings.gateway.max_header_bytes + 1)})
        assert (answer.status_code, answer.json()["error"]["code"]) == (431, "headers_too_large")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "field",
    [
        *("vllm_xargs", "priority", "request_id", "session_id", "cache_salt", "logits_processors"),
        *("allowed_token_ids", "bad_words", "stop_token_ids", "min_tokens", "ignore_eos", "prompt_logprobs"),
        *("truncate_prompt_tokens", "skip_special_tokens", "mm_processor_kwargs", "media_io_kwargs", "echo"),
        *("return_token_ids", "return_tokens_as_token_ids", "enable_response_messages", "watermarking"),
        *("previous_input_messages", "__proto__", "__class__", "model_config"),
    ],
)
def test_pysec_2026_2303_cve_2026_105756_fields_that_are_not_named_are_refused(
    gateway: Gateway, path: str, field: str
) -> None:
    assert_refused(gateway, send(gateway, path, **{field: 1}))


@pytest.mark.parametrize("path", ROUTES)
def test_cve_2025_46570_cve_2025_46722_no_app_shares_the_prefix_cache_with_another(gateway: Gateway, path: str) -> None:
    _, other = gateway.store.create("other-app", now=time.time())
    with gateway.client() as client:
        for key in (gateway.key, gateway.key, other):
            headers = {"authorization": f"Bearer {key}"}
            assert client.post(path, json=ROUTES[path], headers=headers).status_code == 200
    first, second, foreign = (seen.json["cache_salt"] for seen in gateway.engine.generations())
    assert first == second != foreign
    assert len(foreign) == 64


def test_pysec_2026_4325_nothing_that_a_client_writes_makes_a_series(gateway: Gateway) -> None:
    flood(gateway, random.Random(1))
    before = series(gateway)
    flood(gateway, random.Random(2))
    assert series(gateway) == before
    seen = {(name, value) for _, labels in before for name, value in labels}
    assert {value for name, value in seen if name == "app"} <= {key.app for key in gateway.store.list()} | {NO_APP}
    assert {value for name, value in seen if name == "route"} <= set(ROUTE_LABELS)
    assert all(len(value) == 3 and value.isdigit() for name, value in seen if name == "code")


def series(gateway: Gateway) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Names and labels of every sample of the gateway's metrics."""
    text = asyncio.run(Exposition(gateway.metrics).text()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def flood(gateway: Gateway, chance: random.Random) -> None:
    """Requests with words of chance wherever a client can put one: each form as often in every flood."""

    def word() -> str:
        return "".join(chance.choices(string.ascii_letters + string.digits + "._-", k=chance.randint(1, 40)))

    key = {"authorization": f"Bearer {gateway.key}"}
    stranger = {"authorization": f"Bearer sk-appliance-{'a' * 8}-{word():x<43.43}"}
    body = orjson.dumps(CHAT)
    path = "/v1/chat/completions"
    forms: list[Callable[[], tuple[str, str, bytes, dict[str, str]]]] = [
        lambda: ("GET", f"/{word()}/{word()}", b"", key),
        lambda: ("GET", f"/{word()}", b"", {}),
        lambda: ("GET", f"/v1/models/{word()}", b"", key),
        lambda: ("GET", f"/v1/models?{word()}={word()}", b"", key),
        lambda: (word(), path, b"", key),
        lambda: (chance.choice(["PUT", "DELETE", "PATCH", "OPTIONS"]), path, b"", key),
        lambda: ("POST", path, body, stranger),
        lambda: ("POST", path, body, {**key, "host": f"{word()}.example", "user-agent": word()}),
        lambda: ("POST", path, body, {**key, f"x-{word()}".replace(".", "-"): word(), "x-request-id": word()}),
        lambda: ("POST", path, body, {**key, "openai-organization": word(), "x-forwarded-for": word()}),
        lambda: ("POST", path, orjson.dumps({**CHAT, "model": word()}), key),
        lambda: ("POST", path, orjson.dumps({**CHAT, word(): word()}), key),
        lambda: ("POST", path, orjson.dumps({**CHAT, "user": word(), "metadata": {word(): word()}}), key),
        lambda: ("POST", path, orjson.dumps({**CHAT, "stream": True, "stop": word()}), key),
        lambda: ("POST", path, word().encode(), key),
    ]
    for form in forms:
        for _ in range(8):
            method, target, content, headers = form()
            with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)) as connection:
                connection.request(method, target, content, headers)
                connection.getresponse().read()


def _tool(path: str, schema: Any) -> dict[str, Any]:
    function = {"name": "f", "parameters": schema}
    if path == "/v1/responses":
        return {"tools": [{"type": "function", **function}]}
    return {"tools": [{"type": "function", "function": function}]}
