"""A chat completion of the engine becomes a response of the newer API."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types.responses import Response

from appliance.core.response_object import ResponseHead, translate
from appliance.errors import EngineFailed

HEAD = ResponseHead(
    "resp_00ff",
    1_700_000_000,
    {"instructions": "be brief", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {}},
)


def completion(**message: Any) -> dict[str, Any]:
    return {
        "model": "llama",
        "choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    }


def answer(engine: dict[str, Any]) -> Response:
    return Response.model_validate_json(translate(orjson.dumps(engine), HEAD), strict=False)


def test_text_and_usage_arrive_where_the_sdk_looks_for_them() -> None:
    response = answer(completion(content="85"))
    assert response.output_text == "85"
    assert response.status == "completed"
    assert response.model == "llama"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (7, 5, 12)
    assert response.instructions == "be brief"
    assert (response.id, response.output[0].id) == ("resp_00ff", "msg_00ff00")


def test_an_answer_cut_at_the_limit_says_so() -> None:
    engine = completion(content="8")
    engine["choices"][0]["finish_reason"] = "length"
    response = answer(engine)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


def test_tool_calls_become_items_of_their_own() -> None:
    calls = [{"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in range(2)]
    response = answer(completion(content=None, tool_calls=calls))
    assert [(item.type, item.call_id, item.name) for item in response.output] == [
        ("function_call", "c0", "f"),
        ("function_call", "c1", "f"),
    ]
    assert len({item.id for item in response.output}) == 2


def test_text_beside_tool_calls_comes_first() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    response = answer(completion(content="I look it up.", tool_calls=[call]))
    assert [item.type for item in response.output] == ["message", "function_call"]
    assert len({item.id for item in response.output}) == 2


def test_an_empty_answer_is_an_empty_message() -> None:
    assert answer(completion(content=None)).output_text == ""


def test_logprobs_pass() -> None:
    engine = completion(content="8")
    logprob = {"token": "8", "logprob": -0.5, "bytes": [56], "top_logprobs": []}
    engine["choices"][0]["logprobs"] = {"content": [logprob]}
    (item,) = answer(engine).output
    assert item.content[0].logprobs[0].logprob == -0.5


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{"message":null}]}'])
def test_what_is_no_completion_is_refused(body: bytes) -> None:
    with pytest.raises(EngineFailed):
        translate(body, HEAD)
