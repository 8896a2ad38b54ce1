from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.tutor import notation


@pytest.mark.parametrize(
    "text",
    [
        "1/2",
        "2/4",
        "0.5",
        " 0.50 ",
        "x = 1/2",
        "x=0.5",
        "½",
        "\\frac{1}{2}",
        "$\\frac{1}{2}$",
        "1 / 2",
        "0.5 m",
        "1/2개",
        "**0.5**",
    ],
)
def test_a_half_is_a_half_in_every_form(text):
    assert notation.read(text) == Fraction(1, 2)


@pytest.mark.parametrize("text", ["1 1/2", "1과 1/2", "1½", "3/2", "1.5", "+1.5"])
def test_mixed_numbers_are_read(text):
    assert notation.read(text) == Fraction(3, 2)


@pytest.mark.parametrize("text", ["-3", "−3", "x = -3", "- 3"])
def test_minus_signs_of_every_kind_are_read(text):
    assert notation.read(text) == -3


@pytest.mark.parametrize("text", ["", "abc", "1/0", "3 or 4", "12 + 3", "20%", "9" * 5000, "1/2/3", "1 2", "--3"])
def test_what_is_not_one_number_is_none(text):
    assert notation.read(text) is None


def test_thousands_separators_are_read():
    assert notation.read("1,200원") == 1200


@given(st.fractions(min_value=-9999, max_value=9999, max_denominator=999))
def test_a_written_value_reads_back(value):
    assert notation.read(notation.written(value)) == value


@given(st.integers(-99999, 99999), st.integers(0, 4))
def test_a_written_decimal_reads_back(digits, places):
    value = Fraction(digits, 10**places)
    assert notation.read(notation.written_decimal(value)) == value


def test_a_letter_x_between_numbers_is_times_and_in_an_equation_is_not():
    assert notation.plain("27 x 3") == "27×3"
    assert notation.plain("3x + 5 = 20") == "3x + 5 = 20"
