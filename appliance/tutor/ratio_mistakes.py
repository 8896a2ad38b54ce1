"""Mistakes with ratios, percentages and linear equations."""

from __future__ import annotations

from fractions import Fraction

from appliance.tutor import notation
from appliance.tutor.mistakes import Mistake, Say
from appliance.tutor.problems import Problem
from appliance.tutor.ratios import Equation, Percent, Proportion


def _additive(problem: Proportion) -> str | None:
    """Keeps the difference instead of the ratio: 2 : 3 = 8 : 9 (Hart: the addition strategy)."""
    x = problem.b + problem.c - problem.a
    return str(x) if x > 0 else None


def _inverted(problem: Problem) -> str | None:
    """Uses the ratio upside down; pupils who meet no whole number in a percentage notice (Parker & Leinhardt)."""
    if isinstance(problem, Proportion):
        return notation.written(Fraction(problem.a * problem.c, problem.b))
    if isinstance(problem, Percent):
        value = Fraction(problem.whole * 100, problem.rate)
        return str(value.numerator) if value.denominator == 1 else None
    return None


def _as_divisor(problem: Percent) -> str | None:
    """Divides by the number before the sign: 20% of 80 = 4 (Parker & Leinhardt). Applies where that is whole."""
    return str(problem.whole // problem.rate) if problem.whole % problem.rate == 0 else None


def _say_additive(problem: Proportion) -> Say:
    scale = Fraction(problem.c, problem.a)
    if scale.denominator != 1:
        return Say("더하지 말고 같은 수를 곱해요.", "Multiply by the same number, do not add.")
    work = f"{problem.a}×{scale}={problem.c}"
    return Say(f"더하지 말고 곱해요: {work}.", f"Multiply, do not add: {work}.")


def _say_ratio(problem: Problem) -> Say:
    if isinstance(problem, Proportion):
        work = f"{problem.a}×x={problem.b}×{problem.c}"
        return Say(f"안끼리, 밖끼리 곱해요: {work}.", f"Multiply inner and outer: {work}.")
    work = f"{problem.whole}×{problem.rate}/100" if isinstance(problem, Percent) else problem.canonical
    return Say(f"비를 바로 써요: {work}.", f"The right way up: {work}.")


def _say_percent(problem: Percent) -> Say:
    work = f"{problem.whole}×{problem.rate}/100"
    return Say(f"백분율을 곱해요: {work}.", f"Multiply by the percentage: {work}.")


def _sign_kept(problem: Equation) -> str:
    """Moves the constant across without changing its sign: 3x + 5 = 20 gives 3x = 25 (Sleeman)."""
    return notation.written(Fraction(problem.total + problem.signed_constant, problem.coefficient))


def _coefficient_subtracted(problem: Equation) -> str:
    """Takes the coefficient away instead of dividing by it: 3x = 15 gives x = 12 (Sleeman)."""
    return str(problem.total - problem.signed_constant - problem.coefficient)


def _say_sign(problem: Equation) -> Say:
    other = "-" if problem.sign == "+" else "+"
    work = f"{problem.total}{other}{problem.constant}={problem.total - problem.signed_constant}"
    return Say(f"옮기면 부호가 바뀌어요: {work}.", f"The sign changes: {work}.")


def _say_coefficient(problem: Equation) -> Say:
    work = f"{problem.total - problem.signed_constant}÷{problem.coefficient}={notation.written(problem.answer)}"
    return Say(f"빼지 말고 나눠요: {work}.", f"Divide, do not subtract: {work}.")


RATIO_MISTAKES = (
    Mistake(
        "ratio_additive",
        Say("비를 차로 생각함", "difference kept instead of ratio"),
        Say("비가 아니라 차를 같게 한다.", "The difference is kept the same instead of the ratio."),
        (Proportion,),
        _additive,
        _say_additive,
    ),
    Mistake[Problem](
        "ratio_inverted",
        Say("비를 거꾸로 씀", "ratio upside down"),
        Say("비의 앞뒤를 바꾸어 계산한다.", "The ratio is used upside down."),
        (Proportion, Percent),
        _inverted,
        _say_ratio,
    ),
    Mistake(
        "percent_as_divisor",
        Say("퍼센트의 수로 나눔", "divided by the percentage"),
        Say("퍼센트 앞의 수로 나눈다.", "The whole is divided by the number before the percent sign."),
        (Percent,),
        _as_divisor,
        _say_percent,
    ),
    Mistake(
        "equation_sign_kept",
        Say("이항할 때 부호를 바꾸지 않음", "sign kept when moved across"),
        Say("상수항을 옮길 때 부호를 바꾸지 않는다.", "The constant is moved across without changing its sign."),
        (Equation,),
        _sign_kept,
        _say_sign,
    ),
    Mistake(
        "equation_coefficient_subtracted",
        Say("계수로 나누지 않고 뺌", "coefficient subtracted"),
        Say("x의 계수로 나누지 않고 계수를 뺀다.", "The coefficient is subtracted instead of divided by."),
        (Equation,),
        _coefficient_subtracted,
        _say_coefficient,
    ),
)
