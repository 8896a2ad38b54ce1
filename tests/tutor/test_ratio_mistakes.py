import pytest

from appliance.tutor.ratios import Equation, Percent, Proportion
from appliance.tutor.taxonomy import BY_KEY


@pytest.mark.parametrize(
    ("key", "problem", "wrong"),
    [
        ("ratio_additive", Proportion(2, 3, 8), "9"),
        ("ratio_inverted", Proportion(2, 3, 8), "16/3"),
        ("ratio_inverted", Percent(20, 80), "400"),
        ("percent_as_divisor", Percent(20, 80), "4"),
        ("equation_sign_kept", Equation(3, "+", 5, 20), "25/3"),
        ("equation_coefficient_subtracted", Equation(3, "+", 5, 20), "12"),
    ],
)
def test_the_bug_gives_the_answer_the_literature_gives(key, problem, wrong):
    given = BY_KEY[key].wrong(problem)
    assert given is not None
    assert given.text == wrong


def test_ten_percent_divided_by_ten_is_right_and_so_no_mistake():
    assert BY_KEY["percent_as_divisor"].wrong(Percent(10, 80)) is None
