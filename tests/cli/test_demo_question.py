"""Claims about what the demo asks and shows."""

from __future__ import annotations

import json

from appliance.cli import demo_question
from appliance.tutor import corpus, kinds, taxonomy

RIGHT = {
    "working": "7+6=13,4+3+1=8",
    "correct_answer": "83",
    "error_type": "addition_carry_dropped",
    "explanation": "7+6=13: 1을 올려요.",
}


def shown(answer: str) -> str:
    return "\n".join(demo_question.explained(answer))


def test_the_problem_was_held_out_and_the_pupils_answer_is_that_one_mistakes() -> None:
    problem = kinds.parse(demo_question.PROBLEM)
    assert problem is not None
    assert corpus.split_of(problem) == "heldout"
    mistake = taxonomy.BY_KEY[demo_question.MISTAKE]
    wrong = mistake.wrong(problem)
    assert wrong is not None
    assert wrong.text == demo_question.WRONG_ANSWER
    assert taxonomy.sole_explanation(problem, mistake)


def test_a_right_answer_is_named_in_both_languages_and_checked() -> None:
    said = shown(json.dumps(RIGHT))
    assert "받아올림 빠뜨림 / carry dropped in addition" in said
    assert "7+6=13" in said
    assert "맞음 / right" in said


def test_a_wrong_answer_is_called_wrong() -> None:
    for change in ({"correct_answer": "73"}, {"error_type": "addition_columns_joined"}):
        assert "틀림 / wrong" in shown(json.dumps({**RIGHT, **change}))


def test_an_answer_that_is_no_json_or_names_no_known_mistake_is_shown_as_wrong() -> None:
    for answer in ("Paris", "", "{}", json.dumps({**RIGHT, "error_type": "tired"})):
        assert "틀림 / wrong" in shown(answer)
