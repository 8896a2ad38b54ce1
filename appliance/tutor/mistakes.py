"""What a mistake is: a rule that pupils follow instead of the right one, and what to say about it.

Sources named in the taxonomy:

- Brown & Burton 1978, "Diagnostic models for procedural bugs in basic
  mathematical skills", Cognitive Science 2 (BUGGY); bug names after VanLehn
  1990, "Mind Bugs".
- Ashlock 2010, "Error Patterns in Computation", 10th edition.
- Hart 1981, "Children's Understanding of Mathematics: 11-16".
- Resnick et al. 1989, "Conceptual bases of arithmetic errors: the case of
  decimal fractions", Journal for Research in Mathematics Education 20.
- Siegler, Thompson & Schneider 2011, "An integrated theory of whole number and
  fractions development", Cognitive Psychology 62.
- Parker & Leinhardt 1995, "Percent: a privileged proportion", Review of
  Educational Research 65.
- Booth 1984, "Algebra: Children's Strategies and Errors".
- Sleeman 1984, "An attempt to understand students' understanding of basic
  algebra", Cognitive Science 8 (mal-rules).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

from appliance.tutor import notation
from appliance.tutor.problems import Language, Problem

P = TypeVar("P", bound=Problem)


@dataclass(frozen=True, slots=True)
class Say:
    """The same words in Korean and English."""

    ko: str
    en: str

    def words(self, language: Language) -> str:
        """The words in one language."""
        return self.ko if language == "ko" else self.en


@dataclass(frozen=True, slots=True)
class Wrong:
    """A wrong answer: as the pupil writes it (``2/6``), and its value (1/3)."""

    text: str
    value: Fraction


@dataclass(frozen=True)
class Mistake(Generic[P]):
    """One way to go wrong.

    Attributes:
        key: stable name, snake_case: the ``error_type`` of an answer.
        name: what it is called.
        summary: one line that explains it to a teacher.
        kinds: the kinds of problem it can happen in.
        give: from a problem to what the pupil writes; None where the mistake has no place.
        advise: from a problem to one short sentence for the pupil, with the key step worked.
    """

    key: str
    name: Say
    summary: Say
    kinds: tuple[type[P], ...]
    give: Callable[[P], str | None]
    advise: Callable[[P], Say]

    def wrong(self, problem: Problem) -> Wrong | None:
        """The wrong answer this mistake gives; None where it does not apply or would give the right one."""
        if not isinstance(problem, self.kinds):
            return None
        text = self.give(problem)
        value = notation.read(text) if text is not None else None
        if text is None or value is None or value == problem.answer:
            return None
        return Wrong(text, value)

    def advice(self, problem: Problem, language: Language) -> str:
        """What to tell the pupil about it.

        Raises:
            TypeError: the mistake cannot happen in a problem of this kind.
        """
        if not isinstance(problem, self.kinds):
            raise TypeError(f"{self.key} does not happen in {problem.kind}")
        return self.advise(problem).words(language)
