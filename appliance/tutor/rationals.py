"""Fractions and decimals: the four operations on fractions, addition of decimals."""

# ruff: noqa: D102 - what every override means stands once, in problems.Problem

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import ClassVar, Literal, Self

from appliance.tutor import notation
from appliance.tutor.problems import Problem

Operation = Literal["+", "-", "×", "÷"]
_PAIR = re.compile(r"(\d{1,4})/(\d{1,4})([-+×÷])(\d{1,4})/(\d{1,4})")
_DECIMALS = re.compile(r"(\d{1,4}\.\d{1,4})\+(\d{1,4}\.\d{1,4})")


@dataclass(frozen=True, slots=True)
class FractionPair(Problem):
    """``1/2 + 1/3``: numerators ``a``, ``c`` over denominators ``b``, ``d``. The kind is its subclass."""

    kind: ClassVar[str] = ""
    operation: ClassVar[Operation]
    a: int
    b: int
    c: int
    d: int

    @property
    def difficulty(self) -> int:
        largest = max(self.a, self.b, self.c, self.d)
        return 1 if largest <= 8 else 2 if largest <= 12 else 3

    @property
    def canonical(self) -> str:
        return f"{self.a}/{self.b} {self.operation} {self.c}/{self.d}"

    @property
    def family(self) -> str:
        pairs = [(self.a, self.b), (self.c, self.d)]
        if self.operation in "+×":
            pairs.sort()
        return f"{self.kind}:{pairs}"

    @property
    def common(self) -> int:
        """The least common denominator."""
        return math.lcm(self.b, self.d)

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _PAIR.fullmatch(compact)
        if found is None or found[3] != cls.operation:
            return None
        numbers = [int(found[group]) for group in (1, 2, 4, 5)]
        if 0 in numbers:
            return None
        problem = cls(*numbers)
        return problem if problem.answer > 0 else None

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        most = 8 if difficulty == 1 else 12
        b = random.randint(2, most)
        same = cls.operation == "×" and random.random() < 0.5
        d = b if same else random.choice([value for value in range(2, most + 1) if value != b])
        first, second = (_proper(random, bottom) for bottom in (b, d))
        if cls.operation == "-" and first < second:
            first, second = second, first
        return cls(first.numerator, first.denominator, second.numerator, second.denominator)


def _proper(random: Random, bottom: int) -> Fraction:
    tops = [top for top in range(1, bottom) if math.gcd(top, bottom) == 1]
    return Fraction(random.choice(tops), bottom)


class FractionAddition(FractionPair):
    """``1/2 + 1/3``."""

    __slots__ = ()
    kind = "fraction_addition"
    korean = "분수의 덧셈"
    english = "adding fractions"
    operation = "+"

    @property
    def answer(self) -> Fraction:
        return Fraction(self.a, self.b) + Fraction(self.c, self.d)


class FractionSubtraction(FractionPair):
    """``3/4 - 1/2``: the first the larger."""

    __slots__ = ()
    kind = "fraction_subtraction"
    korean = "분수의 뺄셈"
    english = "subtracting fractions"
    operation = "-"

    @property
    def answer(self) -> Fraction:
        return Fraction(self.a, self.b) - Fraction(self.c, self.d)


class FractionMultiplication(FractionPair):
    """``2/5 × 3/5``."""

    __slots__ = ()
    kind = "fraction_multiplication"
    korean = "분수의 곱셈"
    english = "multiplying fractions"
    operation = "×"

    @property
    def answer(self) -> Fraction:
        return Fraction(self.a, self.b) * Fraction(self.c, self.d)


class FractionDivision(FractionPair):
    """``1/2 ÷ 2/3``."""

    __slots__ = ()
    kind = "fraction_division"
    korean = "분수의 나눗셈"
    english = "dividing fractions"
    operation = "÷"

    @property
    def answer(self) -> Fraction:
        return Fraction(self.a, self.b) / Fraction(self.c, self.d)


@dataclass(frozen=True, slots=True)
class DecimalAddition(Problem):
    """``1.5 + 2.34``: decimals of one or two places, as written."""

    kind: ClassVar[str] = "decimal_addition"
    korean: ClassVar[str] = "소수의 덧셈"
    english: ClassVar[str] = "adding decimals"
    left: Decimal
    right: Decimal

    @property
    def answer(self) -> Fraction:
        return Fraction(self.left) + Fraction(self.right)

    @property
    def answer_text(self) -> str:
        return notation.written_decimal(self.answer)

    @property
    def difficulty(self) -> int:
        largest = max(self.left, self.right)
        return 1 if largest < 10 else 2 if largest < 100 else 3

    @property
    def canonical(self) -> str:
        return f"{self.left} + {self.right}"

    @property
    def family(self) -> str:
        low, high = sorted((self.left, self.right))
        return f"{self.kind}:{low} + {high}"

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _DECIMALS.fullmatch(compact)
        return cls(Decimal(found[1]), Decimal(found[2])) if found else None

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        places = random.choice(((1, 1), (1, 2), (2, 1)))
        most = 9 if difficulty == 1 else 30
        left, right = (_decimal(random, most, count) for count in places)
        return cls(left, right)


def _decimal(random: Random, most: int, places: int) -> Decimal:
    """A decimal whose places neither start nor end with a zero: 3.8, 2.34."""
    digits = "".join(str(random.randint(1, 9)) for _ in range(places))
    return Decimal(f"{random.randint(1, most)}.{digits}")
