"""What every kind of problem has: its text, its exact answer, its difficulty, and how to draw one.

A problem is a value: two with the same numbers are equal. ``canonical`` is its
one spelling; ``family`` is the same for problems that are the same exercise
(27 + 35 and 35 + 27), which is what the corpus splits by.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from random import Random
from typing import ClassVar, Literal, Self

from appliance.tutor import notation

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = ("ko", "en")

_DRAWS = 2000


class Problem(ABC):
    """One exercise. Subclasses are frozen dataclasses of its numbers."""

    kind: ClassVar[str]
    """Stable key of the kind, snake_case."""
    korean: ClassVar[str]
    """The kind's Korean name."""
    english: ClassVar[str]
    """The kind's English name."""

    @property
    @abstractmethod
    def answer(self) -> Fraction:
        """The right answer, exactly."""

    @property
    @abstractmethod
    def difficulty(self) -> int:
        """1 (numbers in the head), 2 (on paper) or 3 (larger than the corpus goes)."""

    @property
    @abstractmethod
    def canonical(self) -> str:
        """The one plain spelling, in English where words are needed."""

    @property
    def family(self) -> str:
        """What counts as the same exercise: the canonical form, operands in order where order is nothing."""
        return f"{self.kind}:{self.canonical}"

    @property
    def answer_text(self) -> str:
        """The right answer as it is written for a pupil."""
        return notation.written(self.answer)

    def expression(self, language: Language) -> str:
        """The problem itself without an instruction, in the pupil's language."""
        return self.canonical

    @classmethod
    @abstractmethod
    def match(cls, compact: str) -> Self | None:
        """The problem that a text without spaces spells, None if it is not one of this kind."""

    @classmethod
    @abstractmethod
    def candidate(cls, random: Random, difficulty: int) -> Self:
        """Numbers that may be of that difficulty."""

    @classmethod
    def draw(cls, random: Random, difficulty: int) -> Self:
        """A problem of exactly that difficulty (1 or 2).

        Raises:
            ValueError: the kind has none of that difficulty.
        """
        for _ in range(_DRAWS):
            problem = cls.candidate(random, difficulty)
            if problem.difficulty == difficulty:
                return problem
        raise ValueError(f"{cls.kind} has no problem of difficulty {difficulty}")
