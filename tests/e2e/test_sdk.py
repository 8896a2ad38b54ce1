"""Real vLLM with the real Llama through the gateway, by the official SDK: what an app that swaps base_url does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.e2e.client import check_error, say, sdk
from tests.e2e.conftest import Box

WRONG_ANSWER = "A pupil says that 47 + 38 = 75. What went wrong?"
VERDICT = {
    "type": "object",
    "properties": {"correct": {"type": "boolean"}, "error_type": {"enum": ["carry", "place value", "sign"]}},
    "required": ["correct", "error_type"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def client(box: Box) -> Iterator[openai.OpenAI]:
    with sdk(box) as running:
        yield running


def schema_format(schema: object) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}


def test_alias_is_answered_and_the_answer_says_by_which_model(client: openai.OpenAI, box: Box) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=say(WRONG_ANSWER), max_completion_tokens=12)
    assert answer.model == box.model
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 1 <= answer.usage.completion_tokens <= 12


def test_stream_says_the_same_as_the_whole_answer_and_ends_with_its_usage(client: openai.OpenAI) -> None:
    asked = {"model": "gpt-4o", "messages": say(WRONG_ANSWER), "max_tokens": 16, "temperature": 0}
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert len(chunks) > 4
    last, first = chunks[-1].usage, whole.usage
    assert last is not None
    assert first is not None
    # What came from the prefix cache (prompt_tokens_details) is another matter the second time.
    assert (last.prompt_tokens, last.completion_tokens) == (first.prompt_tokens, first.completion_tokens)
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_stream_without_the_option_shows_no_usage(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="gpt-4", messages=say("Hi"), max_tokens=4, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason in {"length", "stop"}


def test_plain_http_stream_is_events_with_done_at_the_end(box: Box) -> None:
    with httpx.stream(
        "POST",
        f"{box.base_url}/chat/completions",
        json={"model": box.model, "messages": say("Hi"), "max_tokens": 4, "stream": True},
        headers={"authorization": f"Bearer {box.key}"},
        timeout=120,
    ) as response:
        raw = response.read()
    events = raw.split(b"\n\n")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert events[-2:] == [b"data: [DONE]", b""]
    assert all(json.loads(event.removeprefix(b"data: "))["object"] == "chat.completion.chunk" for event in events[:-2])


def test_answer_fits_its_json_schema(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o", messages=say(WRONG_ANSWER), max_tokens=64, temperature=0, response_format=schema_format(VERDICT)
    )
    verdict = json.loads(answer.choices[0].message.content or "")
    assert set(verdict) == {"correct", "error_type"}
    assert isinstance(verdict["correct"], bool)
    assert verdict["error_type"] in {"carry", "place value", "sign"}


def test_json_object_is_an_object(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o",
        messages=say('Say {"ok": true} as JSON.'),
        max_tokens=128,
        temperature=0,
        response_format={"type": "json_object"},
    )
    assert (answer.choices[0].message.content or "").lstrip().startswith("{")
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "thing"}, "response_format.json_schema.schema.type"),
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, "response_format.json_schema.schema.properties[0].pattern"),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "response_format.json_schema.schema.properties[0].$ref"),
        ({"anyOf": [{"$ref": "#"}]}, "response_format.json_schema.schema.anyOf[0].$ref"),
    ],
)
def test_bad_json_schema_is_a_400_that_names_the_place(client: openai.OpenAI, schema: object, place: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="gpt-4o", messages=say("x"), max_tokens=4, response_format=schema_format(schema)
        )
    assert caught.value.param == place


def test_schema_that_only_the_engine_refuses_is_a_400(client: openai.OpenAI) -> None:
    never = {"type": "object", "properties": {"a": {"type": "array", "minItems": 5, "maxItems": 2}}, "required": ["a"]}
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(
            model="gpt-4o", messages=say("x"), max_tokens=8, response_format=schema_format(never)
        )


def test_n_gives_that_many_choices(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=say("Count"), n=3, max_tokens=4)
    assert sorted(choice.index for choice in answer.choices) == [0, 1, 2]


def test_stop_ends_the_answer_before_the_word(client: openai.OpenAI) -> None:
    asked = {"model": "gpt-4o", "messages": say(WRONG_ANSWER), "max_tokens": 16, "temperature": 0}
    free = client.chat.completions.create(**asked).choices[0].message.content or ""
    word = free[6:10]
    assert len(word) == 4
    stopped = client.chat.completions.create(**asked, stop=[word]).choices[0]
    assert stopped.message.content == free[: free.index(word)]
    assert stopped.finish_reason == "stop"


def test_same_seed_gives_the_same_answer(client: openai.OpenAI) -> None:
    asked = {"model": "gpt-4o", "prompt": "Once upon a time", "max_tokens": 12, "temperature": 1.0, "seed": 7}
    first, second = (client.completions.create(**asked).choices[0].text for _ in range(2))
    assert first == second


def test_logprobs_come_for_every_token(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o", messages=say("Hi"), max_tokens=4, temperature=0, logprobs=True, top_logprobs=2
    )
    assert answer.choices[0].logprobs is not None
    tokens = answer.choices[0].logprobs.content or []
    assert answer.usage is not None
    assert len(tokens) == answer.usage.completion_tokens
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)


def test_completions_answer_every_prompt(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="gpt-4o", prompt=["2+2=", "The sky is"], max_tokens=2, logprobs=1)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.text and choice.logprobs for choice in answer.choices)


@pytest.mark.parametrize("times", [1, 40], ids=["in tokens", "in characters"])
def test_context_overflow_names_both_numbers(client: openai.OpenAI, box: Box, times: int) -> None:
    limit = client.models.retrieve(box.model).model_dump()["max_model_len"]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=say("one " * limit * times), max_tokens=4)
    assert caught.value.code == "context_length_exceeded"
    assert f"{limit} tokens" in caught.value.message
    assert any(int(number) > limit for number in numbers(caught.value.message))


def numbers(text: str) -> list[str]:
    return [word for word in text.split() if word.isdigit()]


def test_unknown_model_is_a_not_found_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=say("x"))
    assert caught.value.code == "model_not_found"


def test_refused_field_is_a_bad_request_that_names_it(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=say("x"), extra_body={"guided_regex": "(a+)+$"})
    assert (caught.value.code, caught.value.param) == ("refused_field", "guided_regex")


def test_field_that_the_engine_alone_would_refuse_is_in_our_words(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="gpt-4o", messages=say("x"), max_tokens=2, logit_bias={"9999999": 1})


def test_models_lists_the_active_model_first_and_its_aliases(client: openai.OpenAI, box: Box) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == box.model
    assert {"gpt-4", "gpt-4o", "gpt-4.1"} <= set(names)


def test_wrong_key_is_an_authentication_error(box: Box) -> None:
    with (
        openai.OpenAI(base_url=box.base_url, api_key="sk-wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.models.list()
    assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize("path", ["/tokenize", "/invocations", "/metrics", "/version", "/load"])
def test_engine_routes_do_not_exist_outside(box: Box, path: str) -> None:
    root = box.base_url.removesuffix("/v1")
    for method in ("GET", "POST"):
        response = httpx.request(method, root + path, headers={"authorization": f"Bearer {box.key}"}, json={})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")
        check_error(response.json())


def test_health_is_live_and_ready_without_a_key(box: Box) -> None:
    root = box.base_url.removesuffix("/v1")
    assert httpx.get(f"{root}/health/live").json() == {"status": "live"}
    assert httpx.get(f"{root}/health/ready").json() == {"status": "ready"}
