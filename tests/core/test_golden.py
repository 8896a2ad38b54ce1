"""Golden questions: read strictly, asked without chance, judged by checkers."""

from __future__ import annotations

import copy

import pytest

from appliance.core import golden
from appliance.errors import ModelUnusable

KNOWN = frozenset(golden.CHECKERS)
ENTRY = {
    "id": "carry-ko",
    "messages": [{"role": "user", "content": "47 + 38"}],
    "max_tokens": 20,
    "checks": [{"name": "contains", "value": "85"}, {"name": "json_has", "value": {"error_type": "no_carry"}}],
}
DOCUMENT = {"format": 1, "questions": [ENTRY]}


def test_question_is_asked_without_chance():
    (question,) = golden.parse(DOCUMENT, KNOWN)
    request = question.request("tutor")
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("tutor", 0, 20)
    assert "response_format" not in request
    (formed,) = golden.parse({"format": 1, "questions": [ENTRY | {"response_format": {"type": "json_object"}}]}, KNOWN)
    assert formed.request("tutor")["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        ('{"error_type": "no_carry", "correct_answer": "85"}', True),
        ('{"error_type": "other", "correct_answer": "85"}', False),
        ('{"error_type": "no_carry"}', False),
        ("85", False),
        ("85 and not JSON", False),
        ("", False),
    ],
)
def test_every_check_must_hold(answer, passes):
    (question,) = golden.parse(DOCUMENT, KNOWN)
    assert (question.failure(answer, golden.CHECKERS) == "") is passes


def test_checkers_of_the_domain_can_be_handed_in():
    entry = ENTRY | {"checks": [{"name": "solvable", "value": None}]}
    (question,) = golden.parse({"format": 1, "questions": [entry]}, KNOWN | {"solvable"})
    assert question.failure("x", {"solvable": lambda answer, _: f"{answer} is not"}) == "x is not"


@pytest.mark.parametrize(
    "change",
    [
        {"id": "a b"},
        {"messages": []},
        {"messages": [{"role": "user"}]},
        {"checks": []},
        {"checks": [{"name": "unknown", "value": 1}]},
        {"max_tokens": 0},
        {"max_tokens": 10**6},
        {"response_format": "json"},
        {"more": 1},
    ],
)
def test_question_of_another_form_is_refused(change):
    with pytest.raises(ModelUnusable):
        golden.parse({"format": 1, "questions": [copy.deepcopy(ENTRY) | change]}, KNOWN)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"format": 2, "questions": [ENTRY]},
        {"format": 1, "questions": []},
        {"format": 1, "questions": [ENTRY] * 201},
    ],
)
def test_document_of_another_form_is_refused(document):
    with pytest.raises(ModelUnusable):
        golden.parse(document, KNOWN)
