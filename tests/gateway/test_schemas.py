"""The bodies by the OpenAI API reference, held to what the official SDK sends."""

from __future__ import annotations

import inspect
from typing import Any

import openai
import pytest
from pydantic import ValidationError

from appliance.core.privacy import IGNORED_FIELDS, REFUSED_FIELDS
from appliance.gateway.schemas import ChatCompletionRequest, CompletionRequest

#: Options of the SDK's call that are not fields of the request.
CALL_OPTIONS = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def sdk_fields(call: Any) -> set[str]:
    return set(inspect.signature(call).parameters) - CALL_OPTIONS


@pytest.mark.parametrize(
    ("call", "schema"),
    [
        (openai.resources.chat.Completions.create, ChatCompletionRequest),
        (openai.resources.Completions.create, CompletionRequest),
    ],
)
def test_every_field_of_the_sdk_is_known_ignored_or_refused_with_a_reason(call: Any, schema: Any) -> None:
    known = set(schema.model_fields) | set(REFUSED_FIELDS)
    assert sdk_fields(call) - known == set()


@pytest.mark.parametrize("schema", [ChatCompletionRequest, CompletionRequest])
def test_every_ignored_field_has_a_type_that_bounds_it(schema: Any) -> None:
    assert set(schema.model_fields) >= IGNORED_FIELDS
    with pytest.raises(ValidationError):
        schema.model_validate({**CHAT, "user": "x" * 257})


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0, "top_p": 1, "presence_penalty": -2, "frequency_penalty": 2, "seed": -1},
        {"stop": "x", "logprobs": True, "top_logprobs": 20, "logit_bias": {"50256": -100}},
        {"stop": ["a", "b", "c", "d"], "n": 2, "stream": True, "stream_options": {"include_usage": True}},
        {"top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1},
        {"tool_choice": "none", "parallel_tool_calls": False, "modalities": ["text"]},
        {
            "messages": [
                {"role": "assistant", "content": None, "tool_calls": []},
                {"role": "tool", "content": "x", "tool_call_id": "c"},
            ]
        },
        {"temperature": None, "stop": None, "n": None, "response_format": None, "tools": None},
    ],
)
def test_what_apps_send_fits(fields: dict[str, Any]) -> None:
    assert ChatCompletionRequest.model_validate({**CHAT, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"seed": 2**63},
        {"top_p": 0},
        {"max_tokens": 0},
        {"n": 0},
        {"logit_bias": {str(i): 1.0 for i in range(1025)}},
        {"metadata": {"a": 1}},
        {"modalities": ["text", "audio"]},
        {"model": "x" * 257},
    ],
)
def test_what_is_out_of_range_does_not(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ChatCompletionRequest.model_validate({**CHAT, **fields})
