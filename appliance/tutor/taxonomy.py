"""All mistakes by key. Keys are stable: bundles, schemas and the academy's records name them."""

from __future__ import annotations

from typing import Any

from appliance.tutor.integer_mistakes import INTEGER_MISTAKES
from appliance.tutor.mistakes import Mistake
from appliance.tutor.problems import Problem
from appliance.tutor.ratio_mistakes import RATIO_MISTAKES
from appliance.tutor.rational_mistakes import RATIONAL_MISTAKES

MISTAKES: tuple[Mistake[Any], ...] = (*INTEGER_MISTAKES, *RATIONAL_MISTAKES, *RATIO_MISTAKES)
BY_KEY: dict[str, Mistake[Any]] = {mistake.key: mistake for mistake in MISTAKES}


def sole_explanation(problem: Problem, mistake: Mistake[Any]) -> bool:
    """Whether the mistake's wrong answer to this problem is given by no other mistake."""
    own = mistake.wrong(problem)
    if own is None:
        return False
    others = (other.wrong(problem) for other in MISTAKES if other is not mistake)
    return all(other is None or other.value != own.value for other in others)
