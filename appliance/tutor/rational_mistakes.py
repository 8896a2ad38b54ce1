"""Mistakes with fractions and decimals."""

from __future__ import annotations

from fractions import Fraction

from appliance.tutor import notation
from appliance.tutor.mistakes import Mistake, Say
from appliance.tutor.rationals import (
    DecimalAddition,
    FractionAddition,
    FractionDivision,
    FractionMultiplication,
    FractionPair,
    FractionSubtraction,
)


def _over(top: int, bottom: int) -> str:
    """A fraction as the pupil leaves it, not reduced; a denominator of one is not written."""
    return f"{top}" if bottom == 1 else f"{top}/{bottom}"


def _sign(problem: FractionPair) -> int:
    return -1 if problem.operation == "-" else 1


def _across(problem: FractionPair) -> str | None:
    """Adds or subtracts numerators and denominators alike: 1/2 + 1/3 = 2/5 (Ashlock; Siegler et al.)."""
    top, bottom = problem.a + _sign(problem) * problem.c, problem.b + _sign(problem) * problem.d
    return _over(top, bottom) if top > 0 and bottom > 0 else None


def _unscaled(problem: FractionPair) -> str | None:
    """Finds the common denominator but leaves the numerators: 1/2 + 1/3 = 2/6 (Ashlock)."""
    top = problem.a + _sign(problem) * problem.c
    return _over(top, problem.common) if top > 0 else None


def _scaled(problem: FractionPair) -> str:
    common = problem.common
    first, second = problem.a * common // problem.b, problem.c * common // problem.d
    return f"{first}/{common}{problem.operation}{second}/{common}"


def _say_across(problem: FractionPair) -> Say:
    work = _scaled(problem)
    return Say(f"분모를 같게 해요: {work}.", f"Use a common denominator: {work}.")


def _say_unscaled(problem: FractionPair) -> Say:
    work = _scaled(problem)
    return Say(f"분자도 바꿔요: {work}.", f"Scale the tops too: {work}.")


def _denominator_kept(problem: FractionPair) -> str | None:
    """Multiplies the numerators and keeps the common denominator: 2/5 × 3/5 = 6/5 (Siegler et al.)."""
    return _over(problem.a * problem.c, problem.b) if problem.b == problem.d else None


def _say_kept(problem: FractionPair) -> Say:
    work = f"{problem.b}×{problem.d}={problem.b * problem.d}"
    return Say(f"분모도 곱해요: {work}.", f"Multiply the bottoms too: {work}.")


def _wrong_inverted(problem: FractionPair) -> str:
    """Turns a fraction over that must stay: the second factor, or the dividend (Ashlock)."""
    if problem.operation == "×":
        return _over(problem.a * problem.d, problem.b * problem.c)
    return _over(problem.b * problem.c, problem.a * problem.d)


def _say_inverted(problem: FractionPair) -> Say:
    if problem.operation == "×":
        work = f"{problem.a}×{problem.c}, {problem.b}×{problem.d}"
        return Say(f"곱셈은 뒤집지 않아요: {work}.", f"Turn nothing over: {work}.")
    work = f"{problem.a}/{problem.b}×{problem.d}/{problem.c}"
    return Say(f"뒤의 분수만 뒤집어요: {work}.", f"Turn over the second only: {work}.")


def _not_inverted(problem: FractionPair) -> str:
    """Multiplies without turning the divisor over: 1/2 ÷ 2/3 = 2/6 (Ashlock)."""
    return _over(problem.a * problem.c, problem.b * problem.d)


def _say_not_inverted(problem: FractionPair) -> Say:
    work = f"{problem.a}/{problem.b}×{problem.d}/{problem.c}"
    return Say(f"나누는 분수를 뒤집어 곱해요: {work}.", f"Turn the divisor over: {work}.")


def _places(problem: DecimalAddition) -> tuple[tuple[str, str], tuple[str, str]]:
    (left, left_part), (right, right_part) = (str(value).split(".") for value in (problem.left, problem.right))
    return (left, left_part), (right, right_part)


def _right_aligned(problem: DecimalAddition) -> str | None:
    """Lines the last digits up instead of the points: 1.5 + 2.34 = 2.49 (Ashlock; Resnick et al.)."""
    (left, left_part), (right, right_part) = _places(problem)
    if len(left_part) == len(right_part):
        return None
    places = max(len(left_part), len(right_part))
    total = str(int(left + left_part) + int(right + right_part)).zfill(places + 1)
    return f"{total[:-places]}.{total[-places:]}"


def _parts_separate(problem: DecimalAddition) -> str | None:
    """Adds what is before and after the point as whole numbers: 3.8 + 2.5 = 5.13 (Ashlock; Resnick et al.)."""
    (left, left_part), (right, right_part) = _places(problem)
    return f"{int(left) + int(right)}.{int(left_part) + int(right_part)}"


def _say_aligned(problem: DecimalAddition) -> Say:
    (left, left_part), (right, right_part) = _places(problem)
    places = max(len(left_part), len(right_part))
    work = f"{left}.{left_part:0<{places}}+{right}.{right_part:0<{places}}"
    return Say(f"소수점을 맞춰요: {work}.", f"Line up the points: {work}.")


def _say_parts(problem: DecimalAddition) -> Say:
    (_, left_part), (_, right_part) = _places(problem)
    places = max(len(left_part), len(right_part))
    first, second = (f"0.{part:0<{places}}" for part in (left_part, right_part))
    work = f"{first}+{second}={notation.written_decimal(Fraction(first) + Fraction(second))}"
    return Say(f"이렇게 더해요: {work}.", f"Add them as {work}.")


RATIONAL_MISTAKES = (
    Mistake[FractionPair](
        "fraction_across",
        Say("분자끼리, 분모끼리 계산", "tops and bottoms worked separately"),
        Say(
            "통분하지 않고 분자는 분자끼리, 분모는 분모끼리 더하거나 뺀다.",
            "Numerators and denominators are added or subtracted separately.",
        ),
        (FractionAddition, FractionSubtraction),
        _across,
        _say_across,
    ),
    Mistake[FractionPair](
        "fraction_unscaled",
        Say("분모만 통분", "only the bottoms made common"),
        Say("분모만 통분하고 분자는 그대로 둔다.", "The denominators are made common but the numerators stay."),
        (FractionAddition, FractionSubtraction),
        _unscaled,
        _say_unscaled,
    ),
    Mistake[FractionPair](
        "fraction_denominator_kept",
        Say("곱셈에서 분모를 그대로 둠", "denominator kept in a product"),
        Say("분모가 같은 분수를 곱할 때 분자만 곱한다.", "Fractions of one denominator are multiplied on top only."),
        (FractionMultiplication,),
        _denominator_kept,
        _say_kept,
    ),
    Mistake[FractionPair](
        "fraction_wrong_inverted",
        Say("뒤집지 않을 분수를 뒤집음", "wrong fraction turned over"),
        Say(
            "곱셈에서 뒤의 분수를, 나눗셈에서 앞의 분수를 뒤집는다.",
            "The second factor, or the dividend, is turned over.",
        ),
        (FractionMultiplication, FractionDivision),
        _wrong_inverted,
        _say_inverted,
    ),
    Mistake[FractionPair](
        "fraction_not_inverted",
        Say("나누는 분수를 뒤집지 않음", "divisor not turned over"),
        Say(
            "나눗셈에서 분수를 뒤집지 않고 곱한다.",
            "A division is worked as a product without turning the divisor over.",
        ),
        (FractionDivision,),
        _not_inverted,
        _say_not_inverted,
    ),
    Mistake(
        "decimal_right_aligned",
        Say("소수점을 맞추지 않음", "decimals lined up at the right"),
        Say("소수점이 아니라 끝자리를 맞추어 더한다.", "The last digits are lined up instead of the points."),
        (DecimalAddition,),
        _right_aligned,
        _say_aligned,
    ),
    Mistake(
        "decimal_parts_separate",
        Say("소수점 앞뒤를 따로 더함", "parts around the point added separately"),
        Say(
            "소수점 앞과 뒤를 따로따로 자연수처럼 더한다.",
            "What stands before and after the point is added as whole numbers.",
        ),
        (DecimalAddition,),
        _parts_separate,
        _say_parts,
    ),
)
