"""The shared behaviours by the official Python SDK; each function raises where the appliance does not behave."""

from __future__ import annotations

from typing import Literal

import openai
import pytest
from pydantic import BaseModel

from tests.e2e.client import say
from tests.e2e.conftest import Box

ASKED = {"model": "gpt-4o", "messages": say("A pupil says that 47 + 38 = 75. What went wrong?"), "max_tokens": 16}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


class Verdict(BaseModel):
    correct: bool
    error_type: Literal["carry", "place value", "sign"]


def connect(box: Box) -> openai.OpenAI:
    return openai.OpenAI(base_url=box.base_url, api_key=box.key, max_retries=0, timeout=120)


def whole_answer(client: openai.OpenAI, box: Box) -> None:
    answer = client.chat.completions.create(**ASKED)
    assert answer.model == box.model
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens >= 1


def streamed_answer(client: openai.OpenAI, box: Box) -> None:
    whole = client.chat.completions.create(**ASKED, temperature=0)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(**ASKED, temperature=0, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens


def json_schema(client: openai.OpenAI, box: Box) -> None:
    answer = client.chat.completions.parse(**{**ASKED, "max_tokens": 64}, response_format=Verdict)
    assert isinstance(answer.choices[0].message.parsed, Verdict)


def logprobs(client: openai.OpenAI, box: Box) -> None:
    answer = client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=2)
    assert len(answer.choices[0].logprobs.content) == answer.usage.completion_tokens


def seed(client: openai.OpenAI, box: Box) -> None:
    first, second = (client.chat.completions.create(**ASKED, temperature=1, seed=7) for _ in range(2))
    assert first.choices[0].message.content == second.choices[0].message.content


def tool_messages(client: openai.OpenAI, box: Box) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    turns = [
        *say("Which rule?"),
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "carry"},
    ]
    assert client.chat.completions.create(**{**ASKED, "messages": turns}).choices[0].message.role == "assistant"


def tools_refused(client: openai.OpenAI, box: Box) -> None:
    with pytest.raises(openai.BadRequestError, match="cannot call tools"):
        client.chat.completions.create(**ASKED, tools=[TOOL])


def responses_whole(client: openai.OpenAI, box: Box) -> None:
    response = client.responses.create(model="gpt-4o", input="What is 2 + 2?", max_output_tokens=16)
    assert response.model == box.model
    assert response.output_text
    assert response.usage.output_tokens >= 1


def responses_streamed(client: openai.OpenAI, box: Box) -> None:
    asked = {"model": "gpt-4o", "input": "What is 2 + 2?", "max_output_tokens": 16, "temperature": 0}
    whole = client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    assert text == whole.output_text


def responses_json_schema(client: openai.OpenAI, box: Box) -> None:
    response = client.responses.parse(model="gpt-4o", input="47 + 38 = 75?", max_output_tokens=64, text_format=Verdict)
    assert isinstance(response.output_parsed, Verdict)


def responses_history(client: openai.OpenAI, box: Box) -> None:
    turn = {"role": "user", "content": "What is 2 + 2?"}
    first = client.responses.create(model="gpt-4o", input=[turn], max_output_tokens=8)
    second = client.responses.create(model="gpt-4o", input=[turn, *first.output, turn], max_output_tokens=8)
    assert second.usage.input_tokens > first.usage.input_tokens


def responses_store_refused(client: openai.OpenAI, box: Box) -> None:
    with pytest.raises(openai.BadRequestError, match="keeps no conversation"):
        client.responses.create(model="gpt-4o", input="x", previous_response_id="resp_1")


def left_stream(client: openai.OpenAI, box: Box) -> None:
    with client.chat.completions.create(**{**ASKED, "max_tokens": 512}, stream=True) as stream:
        next(iter(stream))
    whole_answer(client, box)


def embeddings_not_found(client: openai.OpenAI, box: Box) -> None:
    with pytest.raises(openai.NotFoundError, match="No embedding bundle"):
        client.embeddings.create(model="text-embedding-3-small", input="x")


def unknown_model(client: openai.OpenAI, box: Box) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**{**ASKED, "model": "gpt-9"})
    assert caught.value.code == "model_not_found"


def wrong_key(client: openai.OpenAI, box: Box) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        client.with_options(api_key="sk-wrong").chat.completions.create(**ASKED)
    assert caught.value.code == "invalid_api_key"


def refused_field(client: openai.OpenAI, box: Box) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**ASKED, extra_body={"guided_regex": "a"})
    assert caught.value.param == "guided_regex"


def models(client: openai.OpenAI, box: Box) -> None:
    assert next(iter(client.models.list())).id == box.model
