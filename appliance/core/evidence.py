"""Results of the controls, and the report of them as JSON.

``FAIL`` is a control that does not hold, ``UNKNOWN`` one that could not be
looked at: neither is ever shown as the other, and neither as ``PASS``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from appliance.core import controls
from appliance.core.controls import CONTROLS, Control
from appliance.core.standards import STANDARDS
from appliance.core.upkeep import Text

FORMAT = 1
KIND = "appliance evidence"


class Outcome(StrEnum):
    """How a control stands."""

    PASS = "PASS"  # noqa: S105  a verdict, no password
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    NOT_APPLICABLE = "NOT APPLICABLE"


#: Worst first, for a requirement that several controls speak to.
WORST = (Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS, Outcome.NOT_APPLICABLE)


@dataclass(frozen=True)
class Result:
    """What a check found.

    Attributes:
        outcome: how the control stands.
        reason: what was seen, in both languages.
    """

    outcome: Outcome
    reason: Text


@dataclass(frozen=True)
class Evidence:
    """A report.

    Attributes:
        at: Unix seconds.
        host: name of the box.
        appliance: version.
        machine_key: fingerprint of the key that signs the report.
        results: by key, one for each control.
    """

    at: float
    host: str
    appliance: str
    machine_key: str
    results: Mapping[str, Result]

    def count(self, outcome: Outcome) -> int:
        """How many controls stand so."""
        return Counter(result.outcome for result in self.results.values())[outcome]


def passed(english: str, korean: str) -> Result:
    """The control holds."""
    return Result(Outcome.PASS, Text(english, korean))


def failed(english: str, korean: str) -> Result:
    """The control does not hold."""
    return Result(Outcome.FAIL, Text(english, korean))


def unknown(english: str, korean: str) -> Result:
    """The control could not be looked at."""
    return Result(Outcome.UNKNOWN, Text(english, korean))


def not_applicable(english: str, korean: str) -> Result:
    """There is nothing the control is about."""
    return Result(Outcome.NOT_APPLICABLE, Text(english, korean))


@dataclass(frozen=True)
class Requirement:
    """One item of a standard, and what speaks to it.

    Attributes:
        item: its number.
        keys: controls that are evidence for it.
        outcome: the worst of them; None where there is no technical evidence on the box.
    """

    item: str
    keys: tuple[str, ...]
    outcome: Outcome | None


def requirements(evidence: Evidence) -> dict[str, list[Requirement]]:
    """Every item of the three standards, by standard."""
    return {
        standard: [
            _requirement(item, [one.key for one in CONTROLS if item in one.speaks_to(standard)], evidence)
            for item in items
        ]
        for standard, items in STANDARDS.items()
    }


def document(evidence: Evidence) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "format": FORMAT,
        "kind": KIND,
        "at": evidence.at,
        "time": moment(evidence.at),
        "host": evidence.host,
        "appliance": evidence.appliance,
        "machine_key": evidence.machine_key,
        "note": controls.DISCLAIMER._asdict(),
        "summary": {outcome.value: evidence.count(outcome) for outcome in Outcome},
        "controls": [_control(control, evidence.results[control.key]) for control in CONTROLS],
        "requirements": {
            standard: [
                {
                    "item": one.item,
                    "title": STANDARDS[standard][one.item]._asdict(),
                    "controls": list(one.keys),
                    "result": one.outcome.value if one.outcome else None,
                }
                for one in items
            ]
            for standard, items in requirements(evidence).items()
        },
    }


def moment(at: float) -> str:
    """A time for people, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def complete(results: Iterable[tuple[str, Result]]) -> dict[str, Result]:
    """The results by key; raises ValueError where a control has none or two."""
    pairs = list(results)
    found = dict(pairs)
    if len(found) != len(pairs) or set(found) != set(controls.BY_KEY):
        odd = set(found) ^ set(controls.BY_KEY)
        raise ValueError(f"controls and checks differ: {sorted(odd)}")
    return found


def _control(control: Control, result: Result) -> dict[str, Any]:
    return {
        "key": control.key,
        "group": control.group.value,
        "title": control.title._asdict(),
        "result": result.outcome.value,
        "reason": result.reason._asdict(),
        "proof": control.proof,
        "threats": list(control.threats),
        "PIPA": list(control.pipa),
        "ISMS-P": list(control.ismsp),
        "ISO/IEC 27001:2022": list(control.iso),
    }


def _requirement(item: str, keys: list[str], evidence: Evidence) -> Requirement:
    outcomes = {evidence.results[key].outcome for key in keys}
    return Requirement(item, tuple(keys), next((outcome for outcome in WORST if outcome in outcomes), None))
