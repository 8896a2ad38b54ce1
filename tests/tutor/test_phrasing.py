import re
from random import Random

from hypothesis import given

from appliance.tutor import phrasing
from appliance.tutor.integers import Addition
from tests.tutor.strategies import problems


@given(problems())
def test_a_problem_has_several_phrasings_in_each_language(problem):
    assert len(phrasing.questions(problem, "ko")) >= 3
    assert len(phrasing.questions(problem, "en")) >= 3
    assert not any(re.search(r"[가-힣]", text) for text in phrasing.questions(problem, "en"))


def test_a_question_shows_the_wrong_answer_and_its_language():
    for seed in range(20):
        korean = phrasing.ask_diagnosis(Addition(27, 35), "52", "ko", Random(seed))
        assert "52" in korean
        assert re.search(r"[가-힣]", korean)
        assert "52" in phrasing.ask_diagnosis(Addition(27, 35), "52", "en", Random(seed))


def test_a_mistake_to_train_is_named_by_its_key():
    asked = phrasing.ask_similar(Addition(27, 35), "addition_carry_dropped", "en", Random(1))
    assert "addition_carry_dropped" in asked
    assert "\n" not in phrasing.ask_similar(Addition(27, 35), None, "ko", Random(2)).replace("\n유사문제", "")
