"""The checks that a bundle's golden questions may ask for: those of any model, and those of the two tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.core import golden
from appliance.core.golden import Checker
from appliance.tutor import checks, kinds
from appliance.tutor.problems import Problem


def _diagnosis(answer: str, value: Any) -> str:
    """``value``: ``problem``, the given one, and ``error_type``, the key of the mistake in it."""
    problem = _problem(value)
    if problem is None:
        return "is to a problem of no known kind"
    return _phrase(checks.check_diagnosis(answer, problem, str(value.get("error_type"))).reasons)


def _similar(answer: str, value: Any) -> str:
    """``value``: ``problem``, the given one."""
    problem = _problem(value)
    if problem is None:
        return "is to a problem of no known kind"
    return _phrase(checks.check_similar(answer, problem).reasons)


#: By the names that bundles use.
CHECKERS: Mapping[str, Checker] = {**golden.CHECKERS, "diagnosis": _diagnosis, "similar": _similar}


def _problem(value: Any) -> Problem | None:
    return kinds.parse(str(value.get("problem"))) if isinstance(value, dict) else None


def _phrase(reasons: tuple[str, ...]) -> str:
    return f"is not right: {'; '.join(reasons)}" if reasons else ""
