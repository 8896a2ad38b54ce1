from decimal import Decimal

import pytest

from appliance.tutor.rationals import (
    DecimalAddition,
    FractionAddition,
    FractionDivision,
    FractionMultiplication,
    FractionSubtraction,
)
from appliance.tutor.taxonomy import BY_KEY


@pytest.mark.parametrize(
    ("key", "problem", "wrong"),
    [
        ("fraction_across", FractionAddition(1, 2, 1, 3), "2/5"),
        ("fraction_across", FractionSubtraction(5, 6, 1, 4), "4/2"),
        ("fraction_unscaled", FractionAddition(1, 2, 1, 3), "2/6"),
        ("fraction_denominator_kept", FractionMultiplication(2, 5, 3, 5), "6/5"),
        ("fraction_wrong_inverted", FractionMultiplication(1, 2, 3, 5), "5/6"),
        ("fraction_wrong_inverted", FractionDivision(1, 2, 2, 3), "4/3"),
        ("fraction_not_inverted", FractionDivision(1, 2, 2, 3), "2/6"),
        ("decimal_right_aligned", DecimalAddition(Decimal("1.5"), Decimal("2.34")), "2.49"),
        ("decimal_parts_separate", DecimalAddition(Decimal("3.8"), Decimal("2.5")), "5.13"),
    ],
)
def test_the_bug_gives_the_answer_the_literature_gives(key, problem, wrong):
    given = BY_KEY[key].wrong(problem)
    assert given is not None
    assert given.text == wrong


def test_where_the_bug_has_no_place_it_gives_nothing():
    assert BY_KEY["decimal_right_aligned"].wrong(DecimalAddition(Decimal("1.5"), Decimal("2.3"))) is None
    assert BY_KEY["fraction_across"].wrong(FractionSubtraction(1, 2, 1, 4)) is None
    assert BY_KEY["fraction_denominator_kept"].wrong(FractionMultiplication(1, 2, 1, 3)) is None
