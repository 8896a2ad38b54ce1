"""Whole numbers: the four operations, their order, and signs."""

# ruff: noqa: D102 - what every override means stands once, in problems.Problem

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import ClassVar, Literal, Self

from appliance.tutor.problems import Problem

_INTEGER = r"(\d{1,6})"
_SUM = re.compile(rf"{_INTEGER}\+{_INTEGER}")
_DIFFERENCE = re.compile(rf"{_INTEGER}-{_INTEGER}")
_PRODUCT = re.compile(rf"{_INTEGER}×{_INTEGER}")
_QUOTIENT = re.compile(rf"{_INTEGER}÷{_INTEGER}")
_ORDER = re.compile(rf"(?P<open>\()?{_INTEGER}([+-]){_INTEGER}(?P<close>\))?×{_INTEGER}")
_SIGNED = re.compile(r"(\(?-\d{1,6}\)?|\d{1,6})([-×])\((-\d{1,6})\)")


def _size(largest: int) -> int:
    return 1 if largest < 100 else 2 if largest < 1000 else 3


@dataclass(frozen=True, slots=True)
class Addition(Problem):
    """``27 + 35``: two positive whole numbers."""

    kind: ClassVar[str] = "addition"
    korean: ClassVar[str] = "덧셈"
    english: ClassVar[str] = "addition"
    left: int
    right: int

    @property
    def answer(self) -> Fraction:
        return Fraction(self.left + self.right)

    @property
    def difficulty(self) -> int:
        return _size(max(self.left, self.right))

    @property
    def canonical(self) -> str:
        return f"{self.left} + {self.right}"

    @property
    def family(self) -> str:
        low, high = sorted((self.left, self.right))
        return f"{self.kind}:{low} + {high}"

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _SUM.fullmatch(compact)
        return cls(int(found[1]), int(found[2])) if found else None

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        top = random.randint(11, 99) if difficulty == 1 else random.randint(101, 499)
        return cls(top, random.randint(11, 99))


@dataclass(frozen=True, slots=True)
class Subtraction(Problem):
    """``53 - 27``: whole numbers, the first the larger."""

    kind: ClassVar[str] = "subtraction"
    korean: ClassVar[str] = "뺄셈"
    english: ClassVar[str] = "subtraction"
    left: int
    right: int

    @property
    def answer(self) -> Fraction:
        return Fraction(self.left - self.right)

    @property
    def difficulty(self) -> int:
        return _size(self.left)

    @property
    def canonical(self) -> str:
        return f"{self.left} - {self.right}"

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _DIFFERENCE.fullmatch(compact)
        if found is None or int(found[1]) <= int(found[2]):
            return None
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        left = random.randint(21, 99) if difficulty == 1 else random.randint(101, 499)
        return cls(left, random.randint(11, min(left - 1, 99)))


@dataclass(frozen=True, slots=True)
class Multiplication(Problem):
    """``27 × 3``: a number of several digits by one digit."""

    kind: ClassVar[str] = "multiplication"
    korean: ClassVar[str] = "곱셈"
    english: ClassVar[str] = "multiplication"
    left: int
    right: int

    @property
    def answer(self) -> Fraction:
        return Fraction(self.left * self.right)

    @property
    def difficulty(self) -> int:
        return 1 if self.left < 100 and self.right <= 5 else 2 if self.left < 100 else 3

    @property
    def canonical(self) -> str:
        return f"{self.left} × {self.right}"

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _PRODUCT.fullmatch(compact)
        if found is None or not 2 <= int(found[2]) <= 9:
            return None
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        if difficulty == 1:
            return cls(random.randint(12, 99), random.randint(2, 5))
        return cls(random.randint(12, 99), random.randint(6, 9))


@dataclass(frozen=True, slots=True)
class Division(Problem):
    """``96 ÷ 4``: by one digit, without remainder."""

    kind: ClassVar[str] = "division"
    korean: ClassVar[str] = "나눗셈"
    english: ClassVar[str] = "division"
    left: int
    right: int

    @property
    def answer(self) -> Fraction:
        return Fraction(self.left, self.right)

    @property
    def difficulty(self) -> int:
        quotient = self.left // self.right
        return 1 if quotient < 110 and self.right <= 5 else 2 if quotient < 310 else 3

    @property
    def canonical(self) -> str:
        return f"{self.left} ÷ {self.right}"

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _QUOTIENT.fullmatch(compact)
        if found is None or not 2 <= int(found[2]) <= 9 or int(found[1]) % int(found[2]):
            return None
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        hundreds = random.choice((0, 0, 100) if difficulty == 1 else (0, 100, 200, 300))
        quotient = hundreds + (random.randint(1, 9) if hundreds else random.randint(12, 99))
        divisor = random.randint(2, 5 if difficulty == 1 else 9)
        return cls(quotient * divisor, divisor)


@dataclass(frozen=True, slots=True)
class Order(Problem):
    """``2 + 3 × 4`` or ``(2 + 3) × 4``: two operations, with or without brackets."""

    kind: ClassVar[str] = "order_of_operations"
    korean: ClassVar[str] = "혼합 계산"
    english: ClassVar[str] = "order of operations"
    first: int
    sign: Literal["+", "-"]
    second: int
    factor: int
    brackets: bool

    @property
    def signed_second(self) -> int:
        """The second number with the sign before it."""
        return self.second if self.sign == "+" else -self.second

    @property
    def answer(self) -> Fraction:
        if self.brackets:
            return Fraction((self.first + self.signed_second) * self.factor)
        return Fraction(self.first + self.signed_second * self.factor)

    @property
    def difficulty(self) -> int:
        largest = max(self.first // (1 if self.brackets else 4), self.second, self.factor)
        return 1 if largest <= 9 else 2 if largest <= 20 else 3

    @property
    def canonical(self) -> str:
        start = f"{self.first} {self.sign} {self.second}"
        return f"({start}) × {self.factor}" if self.brackets else f"{start} × {self.factor}"

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _ORDER.fullmatch(compact)
        if found is None or bool(found["open"]) != bool(found["close"]):
            return None
        sign: Literal["+", "-"] = "+" if found[3] == "+" else "-"
        problem = cls(int(found[2]), sign, int(found[4]), int(found[6]), bool(found["open"]))
        return problem if problem.answer > 0 else None

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        brackets, sign = random.random() < 0.5, random.choice(("+", "-"))
        most = 9 if difficulty == 1 else 20
        second, factor = random.randint(2, most), random.randint(2, 9)
        if sign == "+":
            return cls(random.randint(2, most), "+", second, factor, brackets)
        low = second + 1 if brackets else second * factor + 1
        return cls(random.randint(low, low + most), "-", second, factor, brackets)


@dataclass(frozen=True, slots=True)
class Signed(Problem):
    """``(-3) - (-8)``, ``3 - (-8)``, ``(-3) × (-8)`` or ``3 × (-8)``: the second number is negative."""

    kind: ClassVar[str] = "signed_numbers"
    korean: ClassVar[str] = "정수의 계산"
    english: ClassVar[str] = "signed numbers"
    left: int
    operation: Literal["-", "×"]
    right: int

    @property
    def answer(self) -> Fraction:
        return Fraction(self.left - self.right if self.operation == "-" else self.left * self.right)

    @property
    def difficulty(self) -> int:
        largest = max(abs(self.left), abs(self.right))
        return 1 if largest <= 9 else 2 if largest <= 20 else 3

    @property
    def canonical(self) -> str:
        left = f"({self.left})" if self.left < 0 else f"{self.left}"
        return f"{left} {self.operation} ({self.right})"

    @classmethod
    def match(cls, compact: str) -> Self | None:
        found = _SIGNED.fullmatch(compact)
        if found is None or found[1].startswith("(") != found[1].endswith(")"):
            return None
        left, right = int(found[1].strip("()")), int(found[3])
        return cls(left, "-" if found[2] == "-" else "×", right) if left and right else None

    @classmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        most = 9 if difficulty == 1 else 20
        left, right = random.randint(2, most), -random.randint(2, most)
        operation: Literal["-", "×"] = random.choice(("-", "×"))
        if operation == "×" and difficulty == 2:
            left, right = random.randint(2, 9), -random.randint(10, 15)
        return cls(left if random.random() < 0.3 else -left, operation, right)
