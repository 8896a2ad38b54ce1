"""All kinds of problems, and reading a problem back from what somebody wrote."""

from __future__ import annotations

import re

from appliance.tutor import notation
from appliance.tutor.integers import Addition, Division, Multiplication, Order, Signed, Subtraction
from appliance.tutor.problems import Problem
from appliance.tutor.rationals import (
    DecimalAddition,
    FractionAddition,
    FractionDivision,
    FractionMultiplication,
    FractionSubtraction,
)
from appliance.tutor.ratios import Equation, Percent, Proportion

KINDS: tuple[type[Problem], ...] = (
    Addition,
    Subtraction,
    Multiplication,
    Division,
    Order,
    Signed,
    FractionAddition,
    FractionSubtraction,
    FractionMultiplication,
    FractionDivision,
    DecimalAddition,
    Proportion,
    Percent,
    Equation,
)

_TEXT_LIMIT = 400
_PERCENT = re.compile(r"\d+\s*%\s*of\s*\d+|\d+\s*의\s*\d+\s*%")
# A colon after a word ends an instruction ("Solve: "); one after a digit or a space belongs to a ratio.
_INSTRUCTION = re.compile(r"(?<=[^\W\d]):|[A-Za-z]{2,}|[A-WYZa-wyz](?![a-z])")
_RUN = re.compile(r"[0-9x+\-×÷/:=().%\s]+")
# "2 1/3" is a mixed number, which no kind has: reading it as 21/3 would be wrong.
_TWO_NUMBERS = re.compile(r"\d\s+\d")


def _compact(run: str) -> str:
    return re.sub(r"\s+", "", run).strip(".").removesuffix("=").strip(".")


def parse(text: str) -> Problem | None:
    """The one problem that a text states, in Korean or English, with or without an instruction.

    None if it states none of a known kind, or two different ones.
    """
    if len(text) > _TEXT_LIMIT:
        return None
    clean = notation.plain(text)
    percents = [match.group() for match in _PERCENT.finditer(clean)]
    rest = _INSTRUCTION.sub("\n", _PERCENT.sub("\n", clean))
    runs = percents + [run for line in rest.split("\n") for run in _RUN.findall(line)]
    found = {
        problem
        for run in runs
        if not _TWO_NUMBERS.search(run)
        for kind in KINDS
        if (problem := kind.match(_compact(run))) is not None
    }
    return found.pop() if len(found) == 1 else None
