from random import Random

import pytest
from hypothesis import given

from appliance.tutor.integers import Addition
from appliance.tutor.problems import LANGUAGES
from tests.tutor.strategies import problems


@given(problems())
def test_the_stated_answer_is_written_as_its_value(problem):
    from appliance.tutor import notation

    assert notation.read(problem.answer_text) == problem.answer


@given(problems())
def test_a_drawn_problem_is_read_back_by_its_own_kind(problem):
    for language in LANGUAGES:
        compact = problem.expression(language).replace(" ", "")
        assert type(problem).match(compact) == problem


def test_a_kind_that_lacks_a_difficulty_says_so():
    with pytest.raises(ValueError, match="no problem of difficulty 3"):
        Addition.draw(Random(1), 3)


def test_difficulty_is_drawn_as_asked():
    assert {Addition.draw(Random(seed), 2).difficulty for seed in range(50)} == {2}
