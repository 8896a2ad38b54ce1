"""A chat completion stream of the engine becomes the event stream of the newer API."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from appliance.core.response_object import ResponseHead
from appliance.core.response_stream import ResponseStream
from appliance.errors import EngineFailed

HEAD = ResponseHead("resp_00ff", 1, {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []})
EVENT = TypeAdapter(ResponseStreamEvent)
DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None = None, *, reason: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason, **more}]
    usage = {"prompt_tokens": 7, "completion_tokens": 2} if delta is None else None
    return b"data: " + orjson.dumps({"model": "llama", "choices": choices, "usage": usage}) + b"\n\n"


def events(*pieces: bytes) -> list[Any]:
    stream = ResponseStream(HEAD)
    return parse(b"".join(stream.feed(piece) for piece in pieces))


def parse(wire: bytes) -> list[Any]:
    """Every event as the SDK reads it: its name and type agree, its fields fit."""
    found = []
    for event in wire.split(b"\n\n")[:-1]:
        name, _, data = event.removeprefix(b"event: ").partition(b"\ndata: ")
        assert orjson.loads(data)["type"] == name.decode()
        found.append(EVENT.validate_json(data))
    return found


TEXT = (chunk({"role": "assistant", "content": ""}), chunk({"content": "8"}), chunk({"content": "5"}))
CALL = (
    chunk({"tool_calls": [{"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
)
END = (chunk({}, reason="stop"), chunk(None), DONE)


def test_text_grows_and_ends_whole() -> None:
    found = events(*TEXT, *END)
    assert [event.type for event in found] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in found] == list(range(10))
    assert found[6].text == "85"
    assert found[-1].response.output_text == "85"
    assert found[-1].response.usage.total_tokens == 9


def test_cutting_the_wire_anywhere_between_events_changes_nothing() -> None:
    whole = b"".join((*TEXT, *END))
    assert events(whole) == events(*TEXT, *END)


def test_a_stream_cut_at_the_limit_ends_incomplete() -> None:
    found = events(*TEXT, chunk({}, reason="length"), chunk(None), DONE)
    assert found[-1].type == "response.incomplete"
    assert found[-1].response.incomplete_details.reason == "max_output_tokens"
    assert found[-1].response.output[0].status == "incomplete"


def test_a_function_call_grows_and_ends_whole() -> None:
    found = events(*CALL, chunk({}, reason="tool_calls"), chunk(None), DONE)
    assert [event.type for event in found[2:]] == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    (item,) = found[-1].response.output
    assert (item.name, item.arguments, item.call_id, item.status) == ("f", '{"a":1}', "c0", "completed")
    assert {event.item_id for event in found[3:6]} == {item.id}


def test_text_then_a_call_are_two_items_with_indexes_and_ids_of_their_own() -> None:
    found = events(*TEXT, *CALL, *END)
    added = [event for event in found if event.type == "response.output_item.added"]
    done = [event for event in found if event.type == "response.output_item.done"]
    assert [event.output_index for event in added] == [event.output_index for event in done] == [0, 1]
    assert [event.item.id for event in added] == [event.item.id for event in done] == ["msg_00ff00", "fc_00ff01"]
    assert [item.id for item in found[-1].response.output] == ["msg_00ff00", "fc_00ff01"]


def test_an_empty_answer_is_an_empty_message() -> None:
    found = events(chunk({"role": "assistant", "content": ""}), *END)
    assert found[-1].response.output_text == ""
    assert len(found[-1].response.output) == 1


def test_logprobs_travel_with_the_text_and_stand_in_the_whole() -> None:
    logprob = {"token": "8", "logprob": -0.5, "bytes": [56], "top_logprobs": []}
    found = events(chunk({"content": "8"}, logprobs={"content": [logprob]}), *END)
    assert found[4].logprobs[0].logprob == -0.5
    assert found[-1].response.output[0].content[0].logprobs[0].token == "8"


def test_a_failure_is_an_event_that_makes_the_sdk_raise() -> None:
    stream = ResponseStream(HEAD)
    begun = parse(stream.feed(b"".join(TEXT)))
    wire = stream.fail(EngineFailed())
    (event,) = parse(wire)
    assert event.type == "error"
    assert event.code == "engine_failed"
    assert event.sequence_number == len(begun)
    # openai/_streaming.py, in Python as in JavaScript: an `error` object in the data is raised.
    assert orjson.loads(wire.partition(b"data: ")[2])["error"]["code"] == "engine_failed"


@pytest.mark.parametrize("data", [b"data: {}\n\n", b"data: [1]\n\n", b"data: <html>\n\n"])
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(EngineFailed):
        ResponseStream(HEAD).feed(data)
