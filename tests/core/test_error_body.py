"""The OpenAI error form, and nothing of an engine's text in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import errors
from appliance.core import error_body
from appliance.errors import ApplianceError, ContextLengthExceeded, RateLimited
from tests.fakes.engine import OVERFLOW

# vLLM 0.32, renderers/params.py
OVERFLOW_IN_CHARACTERS = (
    "This model's maximum context length is 2048 tokens. However, your prompt contains 90000 characters (more than "
    "83968 characters, which is the upper bound for 2048 input tokens). Please reduce the length of the input prompt."
)
OVERFLOW_AT_LEAST = OVERFLOW.replace("5000", "at least 2049")


def every_error() -> list[type[ApplianceError]]:
    found, queue = [], [ApplianceError]
    while queue:
        found.append(queue.pop())
        queue.extend(found[-1].__subclasses__())
    return found


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_the_four_fields_and_says_a_remedy(kind: type[ApplianceError]) -> None:
    body = json.loads(error_body.render(kind(param="messages")))
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["code"] == kind.key
    assert body["error"]["param"] == "messages"
    assert kind.remedy in body["error"]["message"]


def test_error_in_a_stream_is_one_whole_event() -> None:
    event = error_body.render_event(RateLimited("Line\nbreaks \n\n stay inside."))
    assert event.count(b"\n\n") == 1
    assert event.endswith(b"\n\n")
    assert json.loads(event.removeprefix(b"data: "))["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (OVERFLOW, ["2048 tokens", "5000 tokens"]),
        (OVERFLOW_IN_CHARACTERS, ["2048 tokens", "90000 characters"]),
        (OVERFLOW_AT_LEAST, ["2048 tokens", "at least 2049 tokens"]),
    ],
)
def test_overflow_tells_both_numbers(text: str, told: list[str]) -> None:
    err = error_body.from_engine(400, json.dumps({"error": {"message": text}}).encode())
    assert isinstance(err, ContextLengthExceeded)
    assert all(part in str(err) for part in told)


@pytest.mark.parametrize(
    ("status", "key"),
    [
        (400, "invalid_request"),
        (401, "engine_failed"),
        (404, "model_not_found"),
        (413, "invalid_request"),
        (422, "invalid_request"),
        (429, "engine_failed"),
        (500, "engine_failed"),
        (503, "engine_unavailable"),
        (599, "engine_failed"),
    ],
)
def test_engine_status_becomes_an_error_of_ours(status: int, key: str) -> None:
    assert error_body.from_engine(status, b"whatever").key == key


@given(st.integers(400, 599), st.binary() | st.text().map(lambda text: json.dumps({"error": text}).encode()))
def test_no_engine_text_passes(status: int, body: bytes) -> None:
    canary = b"canary-from-inside "
    text = str(error_body.from_engine(status, canary + body + canary))
    assert "canary" not in text


@given(st.text())
def test_overflow_lets_numbers_pass_and_no_text_around_them(text: str) -> None:
    told = str(error_body.from_engine(400, (OVERFLOW + "canary" + text).encode("utf-8", "replace")))
    assert "canary" not in told


def statuses() -> dict[str, Any]:
    return {kind.__name__: kind.status for kind in every_error() if not issubclass(kind, errors.OperatorError)}


def test_status_fits_the_type_that_an_sdk_reads() -> None:
    assert statuses()["InvalidKey"] == 401
    assert statuses()["RateLimited"] == 429
    assert all(400 <= status < 600 for status in statuses().values())


@pytest.mark.parametrize(
    ("text", "param", "told"),
    [
        ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "tools", "tools"),
        ('tool_choice="required" requires --tool-call-parser to be set', "tools", "cannot call tools"),
        ("token_id(s) [9999999] in logit_bias contain out-of-vocab token ids.", "logit_bias", "does not have"),
    ],
)
def test_refusals_of_the_engine_that_are_known_are_told_in_our_words(text: str, param: str, told: str) -> None:
    err = error_body.from_engine(400, json.dumps({"error": {"message": text}}).encode())
    assert (err.status, err.param) == (400, param)
    assert told in str(err)
    assert "--" not in str(err)


def test_more_output_than_the_context_tells_both_numbers() -> None:
    text = "max_tokens=400000 cannot be greater than max_model_len=4096. Please request fewer output tokens."
    err = error_body.from_engine(400, json.dumps({"error": {"message": text}}).encode())
    assert isinstance(err, ContextLengthExceeded)
    assert "400000" in str(err)
    assert "4096" in str(err)


def test_an_overflow_names_the_field_that_holds_the_prompt() -> None:
    assert error_body.from_engine(400, OVERFLOW.encode(), "input").param == "input"
