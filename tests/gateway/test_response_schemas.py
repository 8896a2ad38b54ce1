"""``/v1/responses`` with the official SDK before a fake engine: what reaches the engine, what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.fakes.engine import INTERNAL_TEXT, MODEL
from tests.gateway.conftest import Gateway

TOOL = {
    "type": "function",
    "name": "look_up",
    "description": "Looks a rule up.",
    "parameters": {"type": "object", "properties": {"rule": {"type": "string"}}, "required": ["rule"]},
    "strict": True,
}


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=10) as client:
        yield client


def asked(gateway: Gateway) -> Any:
    """What the engine was asked for, once, by the one route it is asked on."""
    (seen,) = gateway.engine.generations()
    assert seen.path == "/v1/chat/completions"
    return {name: value for name, value in seen.json.items() if name != "cache_salt"}


def refused(gateway: Gateway, **fields: Any) -> dict[str, Any]:
    """The error of a request that must not reach the engine."""
    with gateway.client() as client:
        answer = client.post("/v1/responses", json={"model": "gpt-4o", "input": "47 + 38?", **fields})
    assert answer.status_code == 400, answer.text
    assert gateway.engine.generations() == []
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_text_in_text_out(sdk: openai.OpenAI, gateway: Gateway) -> None:
    response = sdk.responses.create(model="gpt-4o", input="47 + 38?", instructions="Be brief.", max_output_tokens=3)
    assert response.output_text == "tok0 tok1 tok2 "
    assert (response.model, response.status, response.instructions) == (MODEL, "completed", "Be brief.")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 3)
    assert asked(gateway) == {
        "model": MODEL,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "47 + 38?"}],
        "max_tokens": 3,
    }


def test_stream_is_the_events_the_sdk_knows(sdk: openai.OpenAI) -> None:
    with sdk.responses.stream(model="gpt-4o", input="47 + 38?") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        whole = stream.get_final_response()
    assert text == whole.output_text == "tok0 tok1 tok2 tok3 tok4 "
    assert whole.usage is not None
    assert whole.usage.total_tokens == 12


def test_parse_asks_for_the_schema(sdk: openai.OpenAI, gateway: Gateway) -> None:
    class Verdict(BaseModel):
        correct: bool

    with pytest.raises(ValueError, match="Verdict"):  # the fake engine knows no schemas
        sdk.responses.parse(model="gpt-4o", input="47 + 38 = 75?", text_format=Verdict)
    wanted = asked(gateway)["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["name"] == "Verdict"
    assert wanted["json_schema"]["schema"]["properties"] == {"correct": {"title": "Correct", "type": "boolean"}}


def test_a_conversation_with_calls_arrives_as_messages(sdk: openai.OpenAI, gateway: Gateway) -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": "{}", "id": "fc_1"}
    sdk.responses.create(
        model="gpt-4o",
        input=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "status": "completed",
                "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}],
            },
            call,
            {**call, "call_id": "c2"},
            {"type": "function_call_output", "call_id": "c1", "output": "carry"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "sign"}]},
            call,
            {"type": "function_call_output", "call_id": "c1", "output": "carry"},
        ],
    )
    function = {"name": "look_up", "arguments": "{}"}
    first = {"id": "c1", "type": "function", "function": function}
    assert asked(gateway)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "I look.", "tool_calls": [first, {**first, "id": "c2"}]},
        {"role": "tool", "content": "carry", "tool_call_id": "c1"},
        {"role": "tool", "content": "sign", "tool_call_id": "c2"},
        {"role": "assistant", "tool_calls": [first]},
        {"role": "tool", "content": "carry", "tool_call_id": "c1"},
    ]


def test_output_can_be_sent_back_as_input(sdk: openai.OpenAI) -> None:
    first = sdk.responses.create(model="gpt-4o", input="47 + 38?")
    turns = [{"role": "user", "content": "47 + 38?"}, *first.output, {"role": "user", "content": "Sure?"}]
    assert sdk.responses.create(model="gpt-4o", input=turns).status == "completed"
    dumped = [item.model_dump() for item in first.output]
    assert sdk.responses.create(model="gpt-4o", input=[*dumped, {"role": "user", "content": "?"}]).output_text


def test_tools_and_sampling_reach_the_engine_in_its_form(sdk: openai.OpenAI, gateway: Gateway) -> None:
    response = sdk.responses.create(
        model="gpt-4o",
        input="?",
        tools=[TOOL],
        tool_choice={"type": "function", "name": "look_up"},
        parallel_tool_calls=False,
        temperature=0.5,
        top_p=0.5,
        top_logprobs=2,
        include=["message.output_text.logprobs"],
        text={"format": {"type": "json_object"}, "verbosity": "low"},
        metadata={"lesson": "4"},
        user="pupil",
        store=False,
        reasoning={"effort": "low"},
        truncation="disabled",
    )
    sent = asked(gateway)
    assert sent["tools"] == [{"type": "function", "function": {k: v for k, v in TOOL.items() if k != "type"}}]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "look_up"}}
    assert (sent["temperature"], sent["top_p"], sent["logprobs"], sent["top_logprobs"]) == (0.5, 0.5, True, 2)
    assert (sent["parallel_tool_calls"], sent["response_format"]) == (False, {"type": "json_object"})
    assert not sent.keys() & {"metadata", "user", "store", "reasoning", "truncation"}
    assert response.tools[0].name == "look_up"
    assert (response.temperature, response.metadata, response.user) == (0.5, {"lesson": "4"}, "pupil")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("store", True, "nothing is stored"),
        ("previous_response_id", "resp_1", "keeps no conversation"),
        ("conversation", "conv_1", "nothing is stored"),
        ("background", True, "nothing is stored"),
        ("prompt", {"id": "pmpt_1"}, "stored prompts do not exist"),
        ("truncation", "auto", "never cut in silence"),
        ("cache_salt", "x", "time another's cache"),
        ("structured_outputs", {"regex": "(a+)+$"}, "can stop the engine"),
    ],
)
def test_what_needs_a_store_or_opens_the_engine_is_refused_with_the_reason(
    gateway: Gateway, field: str, value: Any, reason: str
) -> None:
    error = refused(gateway, **{field: value})
    assert (error["code"], error["param"]) == ("refused_field", field)
    assert reason in error["message"]


def test_the_values_that_ask_for_nothing_pass(gateway: Gateway) -> None:
    nothing = {"store": None, "previous_response_id": None, "conversation": None, "background": False, "prompt": None}
    with gateway.client() as client:
        answer = client.post("/v1/responses", json={"model": "gpt-4o", "input": "47 + 38?", **nothing})
    assert answer.status_code == 200
    assert answer.json()["store"] is False


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": [{"type": "input_image", "image_url": "http://169.254.169.254/secret"}]},
        {"role": "user", "content": [{"type": "input_file", "file_url": "http://169.254.169.254/secret"}]},
        {"type": "item_reference", "id": "secret"},
        {"type": "secret", "id": "x"},
        {"type": ["secret"]},
        {"type": "computer_call_output", "call_id": "c", "output": {"image_url": "http://169.254.169.254/secret"}},
    ],
)
def test_items_but_text_and_calls_are_refused_without_repeating_them(gateway: Gateway, item: Any) -> None:
    error = refused(gateway, input=[item])
    assert error["code"] == "refused_field"
    assert "secret" not in error["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        (
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"pattern": "(a+)+$"}}}},
            "text.format.schema.pattern",
        ),
        ({"tools": [{**TOOL, "parameters": {"type": "thing"}}]}, "tools[0].parameters.type"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({"max_output_tokens": 10**9}, "max_output_tokens"),
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": "x"}] * 5000}, "input"),
        ({"tools": [TOOL] * 100}, "tools"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_does_not_fit_is_a_400_that_names_the_place(gateway: Gateway, fields: Any, param: str) -> None:
    assert refused(gateway, **fields)["param"] == param


def test_an_overflow_names_the_input(gateway: Gateway) -> None:
    gateway.engine.mode = "overflow"
    with gateway.client() as client:
        error = client.post("/v1/responses", json={"model": "gpt-4o", "input": "x"}).json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
    assert "2048" in error["message"]
    assert "5000" in error["message"]


@pytest.mark.parametrize("mode", ["dies_in_stream", "dies_in_event", "error_event", "ends_early", "hangs_in_stream"])
def test_a_failure_in_mid_stream_raises_in_the_sdk(sdk: openai.OpenAI, gateway: Gateway, mode: str) -> None:
    gateway.engine.mode = mode
    seen = []
    with pytest.raises(openai.APIError) as caught:
        seen.extend(event.type for event in sdk.responses.create(model="gpt-4o", input="x", stream=True))
    assert seen[0] == "response.created"
    assert "response.completed" not in seen
    assert caught.value.code in {"engine_failed", "engine_timeout"}
    assert INTERNAL_TEXT not in str(caught.value)


def test_a_failed_stream_ends_with_the_apis_own_error_event(gateway: Gateway) -> None:
    gateway.engine.mode = "dies_in_stream"
    with gateway.client() as client:
        raw = client.post("/v1/responses", json={"model": "gpt-4o", "input": "x", "stream": True}).text
    last = raw.split("\n\n")[-2]
    assert last.startswith('event: error\ndata: {"type":"error","sequence_number":')
    assert '"code":"engine_failed"' in last


def test_a_body_that_is_no_completion_is_a_502(gateway: Gateway) -> None:
    gateway.engine.mode = "garbage_body"
    with gateway.client() as client:
        answer = client.post("/v1/responses", json={"model": "gpt-4o", "input": "x"})
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "engine_failed"


def test_a_client_that_leaves_a_stream_ends_the_work(sdk: openai.OpenAI, gateway: Gateway) -> None:
    gateway.engine.mode, gateway.engine.tokens = "slow", 200
    with sdk.responses.create(model="gpt-4o", input="x", stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    assert gateway.engine.wait_for_abandoned(1)


def test_embeddings_without_a_bundle_are_a_404_with_the_remedy(sdk: openai.OpenAI) -> None:
    for model in ("text-embedding-3-small", "gpt-4o"):
        with pytest.raises(openai.NotFoundError) as caught:
            sdk.embeddings.create(model=model, input=["a", "b"])
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
        assert "No embedding bundle is installed" in caught.value.message


@pytest.mark.parametrize("fields", [{"input": ""}, {"input": []}, {"input": [1, 2]}, {"input": ["a"] * 5000}, {}])
def test_embeddings_that_do_not_fit_are_a_400(gateway: Gateway, fields: Any) -> None:
    with gateway.client() as client:
        answer = client.post("/v1/embeddings", json={"model": "gpt-4o", **fields})
    assert answer.status_code == 400
    assert gateway.engine.generations() == []
