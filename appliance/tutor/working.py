"""The working of a problem, step by step, as a pupil writes it beside the answer (풀이).

Figures and signs only, so it is the same in every language. A model that
writes it down first computes the answer one small step at a time instead of at
once, which a small one cannot.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from functools import singledispatch
from itertools import zip_longest

from appliance.tutor.integers import Addition, Division, Multiplication, Order, Signed, Subtraction
from appliance.tutor.problems import Problem
from appliance.tutor.rationals import DecimalAddition, FractionPair
from appliance.tutor.ratios import Equation, Percent, Proportion

SEPARATOR = ","
_LIMIT = 400
_FACTOR = r"-?\d{1,6}(?:\.\d{1,4})?(?:/\d{1,6})?"
_EXPRESSION = re.compile(rf"{_FACTOR}(?:[-+×÷]{_FACTOR})*")
_TERM = re.compile(rf"([-+×÷]?)({_FACTOR})")
_REMAINDER = re.compile(r"(\d{1,6})÷(\d{1,6})=(\d{1,6})r(\d{1,6})")


@singledispatch
def _steps(problem: Problem) -> list[str]:
    raise TypeError(f"no working for the kind {problem.kind}")


def working(problem: Problem) -> str:
    """The steps to the answer, ``7+6=13,4+3+1=8`` for 47 + 36; the last leads to the answer without more than copying.

    Columns are worked from the right with what is carried, divisions from the left with ``r`` and the remainder.
    """
    return SEPARATOR.join(_steps(problem))


def _digits(number: int) -> list[int]:
    """Digits of a number, ones first."""
    return [int(digit) for digit in reversed(str(number))]


def _columns(left: int, right: int) -> list[str]:
    steps, carry = [], 0
    for top, bottom in zip_longest(_digits(left), _digits(right), fillvalue=0):
        total = top + bottom + carry
        steps.append(f"{top}+{bottom}{'+1' if carry else ''}={total}")
        carry = total // 10
    return steps


@_steps.register
def _addition(problem: Addition) -> list[str]:
    return _columns(problem.left, problem.right)


@_steps.register
def _subtraction(problem: Subtraction) -> list[str]:
    steps, borrowed = [], 0
    for digit, bottom in zip_longest(_digits(problem.left), _digits(problem.right), fillvalue=0):
        top = digit - borrowed
        borrowed = int(top < bottom)
        top += 10 * borrowed
        steps.append(f"{top}-{bottom}={top - bottom}")
    return steps


@_steps.register
def _multiplication(problem: Multiplication) -> list[str]:
    steps, carry = [], 0
    for digit in _digits(problem.left):
        product = digit * problem.right + carry
        steps.append(f"{digit}×{problem.right}{f'+{carry}' if carry else ''}={product}")
        carry = product // 10
    return steps


@_steps.register
def _division(problem: Division) -> list[str]:
    steps: list[str] = []
    part = 0
    for digit in reversed(_digits(problem.left)):
        part = 10 * part + digit
        if not steps and part < problem.right:
            continue
        quotient, rest = divmod(part, problem.right)
        steps.append(f"{part}÷{problem.right}={quotient}{f'r{rest}' if rest else ''}")
        part = rest
    return steps


@_steps.register
def _order(problem: Order) -> list[str]:
    first, sign, second, factor = problem.first, problem.sign, problem.second, problem.factor
    if problem.brackets:
        inner = first + problem.signed_second
        return [f"{first}{sign}{second}={inner}", f"{inner}×{factor}={problem.answer}"]
    return [f"{second}×{factor}={second * factor}", f"{first}{sign}{second * factor}={problem.answer}"]


@_steps.register
def _signed(problem: Signed) -> list[str]:
    if problem.operation == "-":
        return [f"{problem.left}+{-problem.right}={problem.answer}"]
    size = abs(problem.left), abs(problem.right)
    return [f"{size[0]}×{size[1]}={size[0] * size[1]}"]


@_steps.register
def _fractions(problem: FractionPair) -> list[str]:
    a, b, c, d = problem.a, problem.b, problem.c, problem.d
    if problem.operation in "+-":
        bottom = problem.common
        left, right = a * bottom // b, c * bottom // d
        top = left + right if problem.operation == "+" else left - right
        first = f"{left}/{bottom}{problem.operation}{right}/{bottom}"
    else:
        if problem.operation == "÷":
            c, d = d, c
        top, bottom = a * c, b * d
        first = f"{a}/{b}×{c}/{d}"
    shared = math.gcd(top, bottom)
    reduced = [f"{number}÷{shared}={number // shared}" for number in (top, bottom)] if shared > 1 else []
    return [f"{first}={top}/{bottom}", *reduced]


@_steps.register
def _decimals(problem: DecimalAddition) -> list[str]:
    places = max(-int(value.as_tuple().exponent) for value in (problem.left, problem.right))
    unit = Decimal(1).scaleb(-places)
    left, right = problem.left.quantize(unit), problem.right.quantize(unit)
    return [f"{left}+{right}", *_columns(int(left.scaleb(places)), int(right.scaleb(places)))]


@_steps.register
def _proportion(problem: Proportion) -> list[str]:
    a, b, c = problem.a, problem.b, problem.c
    if c % a:
        return [f"{b}×{c}={b * c}", f"{b * c}÷{a}={problem.answer}"]
    return [f"{c}÷{a}={c // a}", f"{b}×{c // a}={problem.answer}"]


@_steps.register
def _percent(problem: Percent) -> list[str]:
    share = Fraction(problem.rate, 100)
    part = problem.whole // share.denominator
    first = f"{problem.whole}÷{share.denominator}={part}"
    return [first] if share.numerator == 1 else [first, f"{part}×{share.numerator}={problem.answer}"]


@_steps.register
def _equation(problem: Equation) -> list[str]:
    moved = problem.total - problem.signed_constant
    sign = "-" if problem.sign == "+" else "+"
    return [f"{problem.total}{sign}{problem.constant}={moved}", f"{moved}÷{problem.coefficient}={problem.answer}"]


def holds(text: str) -> bool:
    """Whether a working has at least one step and every equation in it is true; ``7÷2=3r1`` is."""
    steps = text.replace(" ", "").split(SEPARATOR) if len(text) <= _LIMIT else []
    return bool(steps) and all(map(_step_holds, steps))


def _step_holds(step: str) -> bool:
    divided = _REMAINDER.fullmatch(step)
    if divided is not None:
        whole, divisor, quotient, rest = map(int, divided.groups())
        return whole == divisor * quotient + rest and rest < divisor
    values = [_value(side) for side in step.split("=")]
    return None not in values and len(set(values)) == 1


def _value(expression: str) -> Fraction | None:
    """The value of one side, multiplication and division before the rest; None if it is none."""
    if not _EXPRESSION.fullmatch(expression):
        return None
    total, term = Fraction(0), Fraction(0)
    try:
        for sign, factor in _TERM.findall(expression):
            value = Fraction(Decimal(factor)) if "." in factor else Fraction(factor)
            if sign == "×":
                term *= value
            elif sign == "÷":
                term /= value
            else:
                total, term = total + term, -value if sign == "-" else value
    except ZeroDivisionError:
        return None
    return total + term
