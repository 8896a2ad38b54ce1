import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.tutor.integers import Addition
from appliance.tutor.kinds import KINDS, parse
from appliance.tutor.phrasing import questions
from appliance.tutor.problems import LANGUAGES
from tests.tutor.strategies import problems


@given(problems())
def test_every_phrasing_of_a_problem_reads_back_as_the_same_problem(problem):
    for language in LANGUAGES:
        for text in questions(problem, language):
            assert parse(text) == problem, text


@pytest.mark.parametrize(
    "text",
    [
        "Compute: 27 + 35",
        "27+35=",
        "27 + 35 = ___",
        "$27 + 35$",
        "27 + 35의 값을 구하세요.",
        "Q) What is 27 + 35 equal to?",
        "27+35를 계산하시오",
    ],
)
def test_other_peoples_phrasings_are_read(text):
    assert parse(text) == Addition(27, 35)


@pytest.mark.parametrize(
    "text",
    ["", "hello", "27 + 35 and 28 + 36", "27 + 35 × 2 + 1", "1 1/2 + 1/3", "27 +", "3x = ", "9" * 500, "2 3 + 35"],
)
def test_what_is_not_one_problem_is_none(text):
    assert parse(text) is None


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_error(text):
    parsed = parse(text)
    assert parsed is None or parsed.answer is not None


def test_kinds_have_distinct_keys_and_names_in_both_languages():
    assert len({kind.kind for kind in KINDS}) == len(KINDS)
    assert all(kind.korean and kind.english for kind in KINDS)
