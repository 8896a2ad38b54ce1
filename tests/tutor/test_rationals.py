from decimal import Decimal
from fractions import Fraction

from appliance.tutor.rationals import (
    DecimalAddition,
    FractionAddition,
    FractionDivision,
    FractionMultiplication,
    FractionSubtraction,
)


def test_the_four_operations_on_fractions_are_exact():
    assert FractionAddition(1, 2, 1, 3).answer == Fraction(5, 6)
    assert FractionSubtraction(3, 4, 1, 2).answer == Fraction(1, 4)
    assert FractionMultiplication(2, 5, 3, 5).answer == Fraction(6, 25)
    assert FractionDivision(1, 2, 2, 3).answer == Fraction(3, 4)


def test_decimals_are_added_exactly_and_written_as_decimals():
    problem = DecimalAddition(Decimal("0.1"), Decimal("0.2"))
    assert problem.answer == Fraction(3, 10)
    assert problem.answer_text == "0.3"


def test_commuted_sums_and_products_are_one_family_and_quotients_are_not():
    assert FractionAddition(1, 2, 1, 3).family == FractionAddition(1, 3, 1, 2).family
    assert FractionMultiplication(1, 2, 1, 3).family == FractionMultiplication(1, 3, 1, 2).family
    assert FractionDivision(1, 2, 1, 3).family != FractionDivision(1, 3, 1, 2).family


def test_kinds_that_share_numbers_are_not_equal():
    assert FractionAddition(1, 2, 1, 3) != FractionMultiplication(1, 2, 1, 3)


def test_a_zero_in_a_fraction_is_refused():
    assert FractionAddition.match("1/0+1/2") is None
    assert FractionDivision.match("1/2÷0/3") is None
    assert FractionSubtraction.match("1/2-3/4") is None
