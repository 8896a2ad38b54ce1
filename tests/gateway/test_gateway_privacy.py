"""What of a request goes on to the engine, and what an app is told where it does not."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.catalogue import Catalogue, Model
from appliance.core.privacy import IGNORED_FIELDS, REFUSED_FIELDS
from appliance.errors import ApplianceError, BadJson, InvalidRequest, ModelNotFound, RefusedField
from appliance.gateway.privacy import Cleaner, Forwarded
from appliance.gateway.schemas import ChatCompletionRequest, CompletionRequest
from appliance.settings import GatewaySettings

SETTINGS = GatewaySettings(max_messages=4, max_tools=2, max_choices=3, max_output_tokens=100, max_prompts=2)
CLEANER = Cleaner(SETTINGS)
CATALOGUE = Catalogue((Model("llama", 2048, 0),), {"gpt-4o": ""})
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "47 + 38 = 75?"}]}
COMPLETION: dict[str, Any] = {"model": "gpt-4o", "prompt": "47 + 38 ="}
CANARY = "Zx9-secret-of-a-pupil"
IGNORED_VALUES: dict[str, Any] = {
    "metadata": {"class": "3b"},
    "store": False,
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "implicit"},
}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def chat(**fields: Any) -> Forwarded:
    return CLEANER.chat(json.dumps({**CHAT, **fields}).encode(), CATALOGUE)


def completion(**fields: Any) -> Forwarded:
    return CLEANER.completion(json.dumps({**COMPLETION, **fields}).encode(), CATALOGUE)


def payload(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(chat(**fields).payload)
    return found


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        chat(**fields)
    return caught.value


def message(**fields: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "x", **fields}]


@pytest.mark.parametrize("name", sorted(set(REFUSED_FIELDS) - set(ChatCompletionRequest.model_fields)))
def test_refused_field_of_a_chat_is_named_with_its_reason(name: str) -> None:
    err = refused(**{name: CANARY})
    assert isinstance(err, RefusedField)
    assert err.param == name
    assert REFUSED_FIELDS[name] in str(err)
    assert CANARY not in str(err)


@pytest.mark.parametrize("name", sorted(set(REFUSED_FIELDS) - set(CompletionRequest.model_fields)))
def test_refused_field_of_a_completion_is_named_with_its_reason(name: str) -> None:
    with pytest.raises(RefusedField) as caught:
        completion(**{name: True})
    assert caught.value.param == name


@pytest.mark.parametrize("name", sorted(IGNORED_FIELDS))
def test_ignored_field_is_accepted_and_stays_here(name: str) -> None:
    given = {name: IGNORED_VALUES.get(name, CANARY)}
    assert json.loads(completion(**given).payload) == {**COMPLETION, "model": "llama"}
    assert payload(**given) == {**CHAT, "model": "llama"}


def test_what_the_sdk_puts_into_an_assistant_message_stays_here() -> None:
    extra = {"refusal": None, "annotations": [], "audio": None, "function_call": None}
    sent = payload(messages=[{"role": "assistant", "content": "75", **extra}, *CHAT["messages"]])
    assert sent["messages"][0] == {"role": "assistant", "content": "75"}


def test_unknown_field_is_named_but_not_its_value() -> None:
    err = refused(temprature=CANARY)
    assert err.param == "temprature"
    assert CANARY not in str(err)


def test_unknown_field_whose_name_is_no_name_is_not_said_back() -> None:
    err = refused(**{f"{CANARY} was wrong again": 1})
    assert err.param is None
    assert CANARY not in str(err)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": message(nickname="x")}, "messages[0].nickname"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"n": 1.5}, "n"),
        ({"n": True}, "n"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": ""}, "stop"),
        ({"model": None}, "model"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"store": True}, "store"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(fields: dict[str, Any], place: str) -> None:
    assert (refused(**fields).param or "").startswith(place)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"n": 4}, "n"),
        ({"max_tokens": 101}, "max_tokens"),
        ({"max_completion_tokens": 101}, "max"),
        ({"messages": message() * 5}, "messages"),
        ({"tools": [TOOL] * 3}, "tools"),
    ],
)
def test_caps_are_refused_by_name_and_one_less_is_taken(fields: dict[str, Any], place: str) -> None:
    assert (refused(**fields).param or "").startswith(place)
    (name, value), *_ = fields.items()
    assert chat(**{name: value - 1 if isinstance(value, int) else value[:-1]})


def test_number_of_prompts_is_capped() -> None:
    assert completion(prompt=["a", "b"])
    with pytest.raises(InvalidRequest) as caught:
        completion(prompt=["a", "b", "c"])
    assert caught.value.param == "prompt"


def test_token_ids_are_no_prompt() -> None:
    with pytest.raises(InvalidRequest):
        completion(prompt=[1, 2, 3])


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"http://intranet/{CANARY}"}},
        {"type": "input_audio", "input_audio": {"data": CANARY, "format": "wav"}},
        {"type": "file", "file": {"file_id": CANARY}},
        {"type": "video_url", "video_url": {"url": CANARY}},
    ],
)
def test_content_that_is_not_text_is_refused(part: dict[str, Any]) -> None:
    err = refused(messages=message(content=[{"type": "text", "text": "see"}, part]))
    assert isinstance(err, RefusedField)
    assert "text only" in str(err)
    assert (err.param or "").startswith("messages[0].content")
    assert CANARY not in str(err)


def test_text_parts_pass() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert payload(messages=message(content=parts))["messages"][0]["content"] == parts


def test_developer_becomes_system() -> None:
    assert payload(messages=[{"role": "developer", "content": "Be kind."}])["messages"] == [
        {"role": "system", "content": "Be kind."}
    ]


def test_max_completion_tokens_is_max_tokens_and_wins() -> None:
    sent = payload(max_completion_tokens=7, max_tokens=9)
    assert sent["max_tokens"] == 7
    assert "max_completion_tokens" not in sent


def test_alias_becomes_the_served_model_and_an_unknown_name_is_not_found() -> None:
    assert chat().model == "llama"
    with pytest.raises(ModelNotFound):
        chat(model="gpt-9")


@pytest.mark.parametrize(("options", "shown"), [({}, False), ({"stream_options": {"include_usage": True}}, True)])
def test_stream_always_asks_the_engine_for_its_usage(options: dict[str, Any], shown: bool) -> None:
    forwarded = chat(stream=True, **options)
    assert (forwarded.stream, forwarded.show_usage) == (True, shown)
    assert json.loads(forwarded.payload)["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


def test_schema_reaches_the_engine_as_it_was() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"const": None}, "b": {"enum": [None, 1.0, "나"]}, "c": {"default": None}},
        "required": ["a"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert payload(response_format=wanted)["response_format"] == wanted
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert payload(tools=[tool])["tools"] == [tool]


@pytest.mark.parametrize("kind", ["json_schema", "json_object", "text"])
def test_bad_schema_is_refused_by_its_place_under_any_type(kind: str) -> None:
    bad = {"type": kind, "json_schema": {"name": "x", "schema": {"items": {"pattern": "(a+)+"}}}}
    assert refused(response_format=bad).param == "response_format.json_schema.schema.items.pattern"


def test_missing_schema_is_refused() -> None:
    assert refused(response_format={"type": "json_schema"}).param == "response_format.json_schema.schema"


def test_bad_schema_of_a_tool_is_refused_by_its_place() -> None:
    bad = {"type": "function", "function": {"name": "f", "parameters": {"type": "thing"}}}
    assert refused(tools=[TOOL, bad]).param == "tools[1].function.parameters.type"


@pytest.mark.parametrize("number", [str(2**64), "1e999", "-" + "9" * 400])
def test_number_beyond_json_is_refused_not_a_crash(number: str) -> None:
    schema = f'{{"type":"json_schema","json_schema":{{"name":"x","schema":{{"maximum":{number}}}}}}}'
    with pytest.raises(InvalidRequest):
        CLEANER.chat(json.dumps(CHAT)[:-1].encode() + f',"response_format":{schema}}}'.encode(), CATALOGUE)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"model":NaN}', b"{}x"])
def test_what_is_no_json_object_is_bad_json_or_invalid(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        CLEANER.chat(body, CATALOGUE)


def test_bad_json_says_where_and_not_what() -> None:
    with pytest.raises(BadJson) as caught:
        CLEANER.chat(f'{{"messages": "{CANARY}'.encode(), CATALOGUE)
    assert "line 1" in str(caught.value)
    assert CANARY not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just(CANARY),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "function",
                    "name",
                    "arguments",
                    "schema",
                    "json_schema",
                    "parameters",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FIELDS = sorted({*ChatCompletionRequest.model_fields, *CompletionRequest.model_fields, *REFUSED_FIELDS})


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5), st.booleans())
def test_any_values_are_forwarded_or_refused_without_being_said_back(fields: dict[str, Any], bare: bool) -> None:
    for clean, usual in ((CLEANER.chat, CHAT), (CLEANER.completion, COMPLETION)):
        body = json.dumps(fields if bare else {**usual, **fields}).encode()
        try:
            forwarded = clean(body, CATALOGUE)
        except ApplianceError as err:
            told = f"{err} {err.param} {err.headers}"
            assert CANARY not in told
        else:
            assert json.loads(forwarded.payload)["model"] == "llama"


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_refused_in_our_words(body: bytes) -> None:
    with pytest.raises(ApplianceError) as caught:
        CLEANER.chat(body, CATALOGUE)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("name", ["prediction", "audio", "functions", "suffix", "web_search_options"])
def test_refused_field_that_is_null_asks_for_nothing(name: str) -> None:
    body = orjson.dumps({**CHAT, name: None})
    cleaned = CLEANER.chat(body, CATALOGUE)
    assert name.encode() not in cleaned.payload
    with pytest.raises(RefusedField):
        CLEANER.chat(body.replace(b"null", b"[]"), CATALOGUE)


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"null"])
def test_body_that_is_no_object_is_told_so(body: bytes) -> None:
    with pytest.raises(BadJson, match="not an object"):
        CLEANER.chat(body, CATALOGUE)
