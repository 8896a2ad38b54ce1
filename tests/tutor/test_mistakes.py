import pytest

from appliance.tutor.integers import Addition, Subtraction
from appliance.tutor.taxonomy import BY_KEY

CARRY = BY_KEY["addition_carry_dropped"]


def test_a_mistake_gives_its_wrong_answer_as_written_and_as_a_value():
    wrong = CARRY.wrong(Addition(27, 35))
    assert wrong is not None
    assert (wrong.text, wrong.value) == ("52", 52)


def test_a_mistake_that_would_give_the_right_answer_does_not_apply():
    assert CARRY.wrong(Addition(21, 35)) is None


def test_a_mistake_has_no_place_in_another_kind():
    assert CARRY.wrong(Subtraction(53, 27)) is None
    with pytest.raises(TypeError, match="does not happen in subtraction"):
        CARRY.advice(Subtraction(53, 27), "en")


def test_advice_is_in_the_pupils_language_with_the_step_worked():
    assert CARRY.advice(Addition(27, 35), "en") == "7+5=12: carry the 1."
    assert CARRY.advice(Addition(27, 35), "ko") == "7+5=12에서 1을 위 자리로 올려요."
