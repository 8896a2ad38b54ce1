"""Ratios, percentages, and linear equations in x."""

# ruff: noqa: D102 - what every override means stands once, in problems.Problem

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import ClassVar, Literal, Self

from appliance.tutor.problems import Language, Problem

_PROPORTION = re.compile(r"(\d{1,4}):(\d{1,4})=(\d{1,4}):x")
_PERCENT = re.compile(r"(?P<rate>\d{1,3})%of(?P<whole>\d{1,6})|(?P<whole_ko>\d{1,6})의(?P<rate_ko>\d{1,3})%")
_EQUATION = re.compile(r"(\d{1,3})x([-+])(\d{1,4})=(\d{1,5})")
_RATES = ((10, 20, 25, 40, 50), (5, 15, 20, 25, 30, 40, 50, 60, 75, 80))


@dataclass(frozen=True, slots=True)
class Proportion(Problem):
    """``2 : 3 = 8 : x``: x is a whole number."""

    kind: ClassVar[str] = "proportion"
    korean: ClassVar[str] = "비례식"
    english: ClassVar[str] = "proportion"
    a: int
    b: int
    c: int

    @property
    def answer(self) -> Fraction:
        return Fraction(self.b * self.c, self.a)

    @property
    def difficulty(self) -> int:
        scale = Fraction(self.c, self.a)
        largest = max(self.a, self.b)
        return 1 if largest <= 9 and scale <= 5 else 2 if largest <= 12 and scale <= 9 else 3

    @property
    def canonical(self) -> str:
        return f"{self.a} : {self.b} = {self.c} : x"

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _PROPORTION.fullmatch(compact)
        if found is None:
            return None
        a, b, c = (int(found[group]) for group in (1, 2, 3))
        return cls(a, b, c) if a and b and c and b * c % a == 0 else None

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        most, scale = (9, 5) if difficulty == 1 else (12, 9)
        a = random.randint(2, most)
        b = random.choice([value for value in range(2, most + 1) if value != a])
        return cls(a, b, a * random.randint(2, scale))


@dataclass(frozen=True, slots=True)
class Percent(Problem):
    """``20% of 80`` (80의 20%): a whole number."""

    kind: ClassVar[str] = "percent"
    korean: ClassVar[str] = "백분율"
    english: ClassVar[str] = "percent"
    rate: int
    whole: int

    @property
    def answer(self) -> Fraction:
        return Fraction(self.rate * self.whole, 100)

    @property
    def difficulty(self) -> int:
        if self.rate in _RATES[0] and self.whole <= 400:
            return 1
        return 2 if self.whole <= 900 else 3

    @property
    def canonical(self) -> str:
        return f"{self.rate}% of {self.whole}"

    def expression(self, language: Language) -> str:
        """The problem itself without an instruction, in the pupil's language."""
        return self.canonical if language == "en" else f"{self.whole}의 {self.rate}%"

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _PERCENT.fullmatch(compact)
        if found is None:
            return None
        rate, whole = int(found["rate"] or found["rate_ko"]), int(found["whole"] or found["whole_ko"])
        fits = 0 < rate < 100 and whole > 0 and rate * whole % 100 == 0
        return cls(rate, whole) if fits else None

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        rate = random.choice(_RATES[difficulty - 1])
        step = 100 // math.gcd(rate, 100)
        return cls(rate, step * random.randint(1, (400 if difficulty == 1 else 900) // step))


@dataclass(frozen=True, slots=True)
class Equation(Problem):
    """``3x + 5 = 20``: solved by one transposition and one division, x a positive whole number."""

    kind: ClassVar[str] = "linear_equation"
    korean: ClassVar[str] = "일차방정식"
    english: ClassVar[str] = "linear equation"
    coefficient: int
    sign: Literal["+", "-"]
    constant: int
    total: int

    @property
    def signed_constant(self) -> int:
        """The constant with the sign before it."""
        return self.constant if self.sign == "+" else -self.constant

    @property
    def answer(self) -> Fraction:
        return Fraction(self.total - self.signed_constant, self.coefficient)

    @property
    def difficulty(self) -> int:
        if self.coefficient <= 5 and self.constant <= 10 and self.answer <= 9:
            return 1
        return 2 if self.coefficient <= 9 and self.constant <= 20 and self.answer <= 12 else 3

    @property
    def canonical(self) -> str:
        return f"{self.coefficient}x {self.sign} {self.constant} = {self.total}"

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _EQUATION.fullmatch(compact)
        if found is None or int(found[1]) < 2 or int(found[3]) < 1:
            return None
        problem = cls(int(found[1]), "+" if found[2] == "+" else "-", int(found[3]), int(found[4]))
        return problem if problem.answer > 0 and problem.answer.denominator == 1 else None

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        most, top = (5, 9) if difficulty == 1 else (9, 12)
        coefficient, x = random.randint(2, most), random.randint(2, top)
        sign: Literal["+", "-"] = random.choice(("+", "-"))
        constant = random.randint(1, 10 if difficulty == 1 else 20)
        if sign == "-":
            constant = min(constant, coefficient * x - 1)
        total = coefficient * x + (constant if sign == "+" else -constant)
        return cls(coefficient, sign, constant, total)
