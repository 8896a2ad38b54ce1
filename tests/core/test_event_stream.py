"""A stream passes byte for byte however it is cut, and never ends inside an event."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core import event_stream
from appliance.core.event_stream import EventStream, Usage

DONE = b"data: [DONE]\n\n"


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def token(text: str) -> bytes:
    return event({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]})


USAGE = event({"id": "c", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
ERROR = event({"error": {"message": "inside", "code": 500}})
#: Text that looks like what is searched for; inside a JSON string its quotes are escaped.
TRICKY = st.sampled_from(
    ['"usage":{', "data: [DONE]", "\n\ndata: [DONE]\n\n", 'data: {"error":', '"choices":[]', "\n\n"]
)
TOKENS = st.lists((st.text() | TRICKY).map(token), max_size=8)


@st.composite
def cut(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    return [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]


@given(TOKENS, st.booleans(), st.booleans(), st.data())
def test_any_cut_gives_the_bytes_of_the_whole(
    tokens: list[bytes], with_usage: bool, show_usage: bool, data: st.DataObject
) -> None:
    shown = [*tokens, USAGE, DONE] if with_usage and show_usage else [*tokens, DONE]
    sent = b"".join([*tokens, USAGE, DONE] if with_usage else [*tokens, DONE])
    events = EventStream(show_usage=show_usage)
    out = [events.feed(part) for part in data.draw(cut(sent))]
    assert b"".join(out) == b"".join(shown)
    assert all(part == b"" or part.endswith(b"\n\n") for part in out), "no torn event"
    assert events.done
    assert not events.failed
    counted = Usage(0, len(tokens), "counted") if tokens else None
    assert events.usage == (Usage(7, 3) if with_usage else counted)


def running(text: str, index: int, prompt: int, generated: int, **more: object) -> bytes:
    """An event with vLLM's running count, which stands behind the choices and before what is rarely set."""
    usage = {"prompt_tokens": prompt, "total_tokens": prompt + generated, "completion_tokens": generated}
    return event({"id": "c", "choices": [{"index": index, "delta": {"content": text}}], "usage": usage, **more})


@given(st.lists(st.text() | TRICKY, max_size=8), st.booleans(), st.data())
def test_running_counts_are_cut_out_and_kept_for_a_stream_that_ends_early(
    texts: list[str], with_details: bool, data: st.DataObject
) -> None:
    more = {"prompt_token_ids": None} if with_details else {}
    sent = b"".join(running(text, 0, 7, number, **more) for number, text in enumerate(texts))
    bare = b"".join(event({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}], **more}) for text in texts)
    events = EventStream(show_usage=True)
    assert b"".join(events.feed(part) for part in data.draw(cut(sent))) == bare
    assert events.usage == (Usage(7, len(texts) - 1, "running") if texts else None)
    assert events.feed(USAGE + DONE) == USAGE + DONE
    assert events.usage == Usage(7, 3)


def test_final_count_tells_what_came_from_the_cache() -> None:
    events = EventStream(show_usage=False)
    count = {"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}
    events.feed(running("a", 0, 7, 1) + event({"id": "c", "choices": [], "usage": count}) + DONE)
    assert events.usage == Usage(7, 1, cached_tokens=4)


def test_running_counts_of_several_choices_and_prompts_add_up() -> None:
    events = EventStream(show_usage=False, choices=2)
    for index, prompt in enumerate((7, 7, 9, 9)):
        events.feed(running("a", index, prompt, 1) + running("b", index, prompt, 2 + index))
    assert events.usage == Usage(16, 2 + 3 + 4 + 5, "running")


def test_running_count_with_details_is_cut_out_whole() -> None:
    events = EventStream(show_usage=True)
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}}
    choices = [{"index": 0, "delta": {"content": "a"}}]
    assert events.feed(event({"choices": choices, "usage": usage})) == event({"choices": choices})
    assert events.usage == Usage(5, 2, "running")


@given(TOKENS, TOKENS, st.data())
def test_nothing_passes_from_an_error_event_on(before: list[bytes], after: list[bytes], data: st.DataObject) -> None:
    events = EventStream(show_usage=True)
    out = [events.feed(part) for part in data.draw(cut(b"".join([*before, ERROR, *after, DONE])))]
    assert b"".join(out) == b"".join(before)
    assert events.failed
    assert not events.done


@given(st.binary(), st.booleans(), st.data())
def test_any_bytes_pass_as_a_beginning_that_ends_with_an_event(
    sent: bytes, show_usage: bool, data: st.DataObject
) -> None:
    events = EventStream(show_usage=show_usage)
    out = b"".join(events.feed(part) for part in data.draw(cut(sent)))
    assert out == b"" or out.endswith(b"\n\n")
    assert len(out) <= len(sent)


@given(TOKENS, st.data())
def test_stream_without_done_is_not_done(tokens: list[bytes], data: st.DataObject) -> None:
    events = EventStream(show_usage=False)
    for part in data.draw(cut(b"".join(tokens))):
        events.feed(part)
    assert not events.done


@pytest.mark.parametrize(
    "error",
    [b'data: {"error": {"message": "x"}}\n\n', b'data: {"object":"error","x":1}\n\n', b"event: error\ndata: x\n\n"],
)
def test_every_form_of_an_error_event_is_seen(error: bytes) -> None:
    events = EventStream(show_usage=False)
    assert events.feed(token("a") + error + token("b")) == token("a")
    assert events.failed


def test_comments_and_usage_beside_choices_pass() -> None:
    events = EventStream(show_usage=False)
    running = event({"choices": [{"delta": {}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    assert events.feed(b": ping\n\n" + running) == b": ping\n\n" + running
    assert events.usage == Usage(1, 1)


def test_event_without_an_end_is_a_failure_not_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_EVENT_BYTES", 100)
    events = EventStream(show_usage=False)
    assert events.feed(b"data: " + b"x" * 90) == b""
    assert not events.failed
    assert events.feed(b"x" * 10) == b""
    assert events.failed
    assert events.feed(b"\n\n" + DONE) == b""


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":4}}', Usage(3, 4)),
        (b'{"usage":{"prompt_tokens":3}}', Usage(3, 0)),
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":null}}', Usage(3, 0)),
        (b'{"usage":{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}}', Usage(3, 0, cached_tokens=2)),
        (b'{"usage":{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":null}}}', Usage(3, 0)),
        (b'{"usage":{"prompt_tokens":3,"prompt_tokens_details":null}}', Usage(3, 0)),
        (b'{"usage":{"prompt_tokens":3,"prompt_tokens_details":[]}}', Usage(3, 0)),
        (b'{"usage":null}', None),
        (b'{"usage":{"completion_tokens":4}}', None),
        (b'{"usage":{"prompt_tokens":"many"}}', None),
        (b"[]", None),
        (b"{", None),
        (b"", None),
    ],
)
def test_usage_is_read_where_there_is_one(body: bytes, usage: Usage | None) -> None:
    assert Usage.of(body) == usage


@given(st.binary())
def test_usage_of_any_bytes_raises_nothing(body: bytes) -> None:
    assert Usage.of(body) is None or body
