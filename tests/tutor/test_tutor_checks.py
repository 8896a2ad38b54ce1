import json
from fractions import Fraction

import pytest

from appliance.tutor.checks import answer_is_right, check_diagnosis, check_similar
from appliance.tutor.integers import Addition
from appliance.tutor.rationals import FractionAddition
from appliance.tutor.ratios import Equation
from appliance.tutor.symbolic import solve

SUM = Addition(27, 35)
CARRY = "addition_carry_dropped"


def diagnosis(**changes):
    right = {
        "working": "7+5=12,2+3+1=6",
        "correct_answer": "62",
        "error_type": CARRY,
        "explanation": "7+5=12: carry the 1.",
    }
    return json.dumps(right | changes)


def similar(problem, answer):
    return json.dumps({"problem": problem, "working": "8+6=14,4+2+1=7", "answer": answer})


def test_a_right_diagnosis_has_no_reasons():
    verdict = check_diagnosis(diagnosis(), SUM, CARRY)
    assert verdict.right
    assert verdict.error_type == CARRY


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"correct_answer": "52"}, "the answer is not 62"),
        ({"error_type": "addition_columns_joined"}, f"the mistake is not {CARRY}"),
        ({"explanation": " "}, "no explanation"),
        ({"more": "x"}, "not one JSON object with the wanted keys"),
    ],
)
def test_each_fault_of_a_diagnosis_is_named(changes, reason):
    verdict = check_diagnosis(diagnosis(**changes), SUM, CARRY)
    assert verdict.reasons == (reason,)
    assert not verdict.right


def test_a_false_step_costs_the_working_only():
    verdict = check_diagnosis(diagnosis(working="7+5=12,2+3=6"), SUM, CARRY)
    assert verdict.right
    assert not verdict.working_right
    assert check_diagnosis(diagnosis(), SUM, CARRY).working_right


def test_a_key_outside_the_taxonomy_is_no_diagnosis():
    assert check_diagnosis(diagnosis(error_type="bad_luck"), SUM, CARRY).error_type == ""


def test_words_around_the_json_cost_its_validity_only():
    verdict = check_diagnosis(f"Here: {diagnosis()}", SUM, CARRY)
    assert verdict.diagnosis_right
    assert verdict.answer_right
    assert not verdict.json_valid


def test_no_json_is_wrong_in_everything():
    verdict = check_diagnosis("I do not know", SUM, CARRY)
    assert (verdict.json_valid, verdict.diagnosis_right, verdict.answer_right, verdict.explained) == (False,) * 4


@pytest.mark.parametrize("text", ["5/6", "10/12", "x = 5/6", "5/6 m", "\\frac{5}{6}"])
def test_equivalent_forms_of_an_answer_are_right(text):
    assert answer_is_right(FractionAddition(1, 2, 1, 3), text)


def test_an_equation_may_be_answered_with_or_without_its_unknown():
    assert answer_is_right(Equation(3, "+", 5, 20), "x = 5")
    assert answer_is_right(Equation(3, "+", 5, 20), "5")
    assert not answer_is_right(Equation(3, "+", 5, 20), "x = 6")


def test_a_right_similar_problem_has_no_reasons():
    assert check_similar(similar("48 + 26", "74"), SUM, mistake=CARRY, second_opinion=solve).right


@pytest.mark.parametrize(
    ("problem", "answer", "reason"),
    [
        ("48 + 26", "64", "the stated answer is not 74"),
        ("35 + 27", "62", "not new"),
        ("19 + 19", "38", "not new"),
        ("48 - 26", "22", "of the kind subtraction, not addition"),
        ("480 + 26", "506", "of difficulty 2, not 1"),
        ("41 + 26", "67", f"no place for {CARRY}"),
        ("a nice sum", "74", "no problem of a known kind"),
    ],
)
def test_each_fault_of_a_similar_problem_is_named(problem, answer, reason):
    verdict = check_similar(similar(problem, answer), SUM, mistake=CARRY, exclude={Addition(19, 19).family})
    assert reason in verdict.reasons


def test_a_second_opinion_that_differs_makes_the_answer_wrong():
    verdict = check_similar(similar("48 + 26", "74"), SUM, second_opinion=lambda _: Fraction(1))
    assert not verdict.answer_right
