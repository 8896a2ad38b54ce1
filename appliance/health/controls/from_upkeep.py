"""A finding of upkeep as the result of a control."""

from __future__ import annotations

from appliance.core.evidence import WORST, Outcome, Result
from appliance.core.upkeep import Outcome as Found


def result(found: Found, *, off_is_unknown: bool) -> Result:
    """The worst of its findings.

    Args:
        found: what upkeep says.
        off_is_unknown: whether what is not there says nothing, instead of failing.
    """
    outcomes = {
        "good": Outcome.PASS,
        "warning": Outcome.FAIL,
        "bad": Outcome.FAIL,
        "unknown": Outcome.UNKNOWN,
        "off": Outcome.UNKNOWN if off_is_unknown else Outcome.FAIL,
    }
    worst = min(found.findings, key=lambda finding: WORST.index(outcomes[finding.state]))
    return Result(outcomes[worst.state], worst.text)
