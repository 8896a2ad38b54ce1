"""The shared behaviours by langchain-openai; each function raises where the appliance does not behave."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tests.e2e.conftest import Box
from tests.e2e.python_sdk import TOOL, Verdict

QUESTION = "A pupil says that 47 + 38 = 75. What went wrong?"


class Client:
    """Makes chat models as an app does."""

    def __init__(self, box: Box) -> None:
        self.base: dict[str, Any] = {"base_url": box.base_url, "api_key": box.key, "max_retries": 0, "timeout": 120}

    def chat(self, **options: Any) -> ChatOpenAI:
        return ChatOpenAI(**{**self.base, "model": "gpt-4o", "max_tokens": 16, **options})

    def responses(self, **options: Any) -> ChatOpenAI:
        return self.chat(use_responses_api=True, **options)


def connect(box: Box) -> Client:
    return Client(box)


def whole_answer(client: Client, box: Box) -> None:
    answer = client.chat().invoke(QUESTION)
    assert answer.response_metadata["model_name"] == box.model
    assert answer.content
    assert answer.usage_metadata["output_tokens"] >= 1


def streamed_answer(client: Client, box: Box) -> None:
    chat = client.chat(temperature=0, stream_usage=True)
    whole = chat.invoke(QUESTION)
    chunks = list(chat.stream(QUESTION))
    assert "".join(chunk.content for chunk in chunks) == whole.content
    (usage,) = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert usage["total_tokens"] == whole.usage_metadata["total_tokens"]


def json_schema(client: Client, box: Box) -> None:
    verdict = client.chat(max_tokens=64).with_structured_output(Verdict, method="json_schema").invoke(QUESTION)
    assert isinstance(verdict, Verdict)


def logprobs(client: Client, box: Box) -> None:
    answer = client.chat(logprobs=True, top_logprobs=2).invoke(QUESTION)
    assert len(answer.response_metadata["logprobs"]["content"]) == answer.usage_metadata["output_tokens"]


def seed(client: Client, box: Box) -> None:
    chat = client.chat(temperature=1, seed=7)
    assert chat.invoke(QUESTION).content == chat.invoke(QUESTION).content


def tool_messages(client: Client, box: Box) -> None:
    call = AIMessage("", tool_calls=[{"name": "look_up", "args": {}, "id": "c1"}])
    turns = [HumanMessage("Which rule?"), call, ToolMessage("carry", tool_call_id="c1")]
    assert client.chat().invoke(turns).type == "ai"


def tools_refused(client: Client, box: Box) -> None:
    with pytest.raises(openai.BadRequestError, match="cannot call tools"):
        client.chat().bind_tools([TOOL]).invoke(QUESTION)


def responses_whole(client: Client, box: Box) -> None:
    answer = client.responses().invoke(QUESTION)
    assert answer.response_metadata["model_name"] == box.model
    assert answer.text
    assert answer.usage_metadata["output_tokens"] >= 1


def responses_streamed(client: Client, box: Box) -> None:
    chat = client.responses(temperature=0)
    assert "".join(chunk.text for chunk in chat.stream(QUESTION)) == chat.invoke(QUESTION).text


def responses_json_schema(client: Client, box: Box) -> None:
    verdict = client.responses(max_tokens=64).with_structured_output(Verdict, method="json_schema").invoke(QUESTION)
    assert isinstance(verdict, Verdict)


def responses_history(client: Client, box: Box) -> None:
    chat = client.responses()
    first = chat.invoke([HumanMessage(QUESTION)])
    second = chat.invoke([HumanMessage(QUESTION), first, HumanMessage(QUESTION)])
    assert second.usage_metadata["input_tokens"] > first.usage_metadata["input_tokens"]


def responses_store_refused(client: Client, box: Box) -> None:
    with pytest.raises(openai.BadRequestError, match="keeps no conversation"):
        client.responses().invoke(QUESTION, previous_response_id="resp_1")


def left_stream(client: Client, box: Box) -> None:
    stream = client.chat(max_tokens=512).stream(QUESTION)
    next(stream)
    stream.close()
    whole_answer(client, box)


def embeddings_not_found(client: Client, box: Box) -> None:
    # Its own counting of tokens would fetch OpenAI's vocabulary from the internet.
    embeddings = OpenAIEmbeddings(**client.base, model="text-embedding-3-small", check_embedding_ctx_length=False)
    with pytest.raises(openai.NotFoundError, match="No embedding bundle"):
        embeddings.embed_query("x")


def unknown_model(client: Client, box: Box) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat(model="gpt-9").invoke(QUESTION)
    assert caught.value.code == "model_not_found"


def wrong_key(client: Client, box: Box) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat(api_key="sk-wrong").invoke(QUESTION)
    assert caught.value.code == "invalid_api_key"


def refused_field(client: Client, box: Box) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat(extra_body={"guided_regex": "a"}).invoke(QUESTION)
    assert caught.value.param == "guided_regex"
