from fractions import Fraction

import pytest
from hypothesis import given, settings

from appliance.tutor.symbolic import solve
from tests.tutor.strategies import problems


@settings(max_examples=60)
@given(problems())
def test_sympy_agrees_with_every_kind_in_both_languages(problem):
    assert solve(problem.canonical) == problem.answer
    assert solve(problem.expression("ko")) == problem.answer


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "9**9**9",
        "9//2",
        "x",
        "3x = 3x",
        "",
        "1/0",
        "(",
        "1 = 2 = 3",
        "9" * 70,
        "x*x = 4",
        "print(1)",
    ],
)
def test_what_is_not_arithmetic_never_reaches_the_parser_or_has_no_value(text):
    assert solve(text) is None


def test_decimals_are_exact():
    assert solve("0.1 + 0.2") == Fraction(3, 10)
