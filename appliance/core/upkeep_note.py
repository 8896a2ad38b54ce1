"""What a run leaves for the next: a small JSON object in ``<state_dir>/upkeep/``.

``{"format": 1, "at": <Unix seconds>, "ok": true, …}``; what follows is the
writer's own. ``audit.json`` is left by whoever verified the audit,
``privacy-test.json`` by the privacy test, ``backup.json`` by the backup.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.core.audit_chain import Verdict

FORMAT = 1


@dataclass(frozen=True)
class Note:
    """One result.

    Attributes:
        at: when it was had, Unix seconds.
        ok: whether it is good.
        facts: the rest, by name.
    """

    at: float
    ok: bool
    facts: Mapping[str, Any] = field(default_factory=dict)

    def number(self, name: str) -> float | None:
        """A fact that is a number of at least 0; None if it is not there."""
        value = self.facts.get(name)
        return float(value) if value is not None and _is_number(value) and value >= 0 else None


def encode(note: Note) -> bytes:
    """The file's content."""
    return (json.dumps({"format": FORMAT, "at": note.at, "ok": note.ok, **note.facts}) + "\n").encode()


def decode(content: bytes) -> Note:
    """Read :func:`encode`'s bytes; raises ValueError where they are not a note."""
    values = _object(content)
    at, ok = values.pop("at", None), values.pop("ok", None)
    if not _is_number(at) or not isinstance(ok, bool):
        raise ValueError("it has no time and result")
    return Note(at, ok, values)


def of_audit(verdict: Verdict, at: float) -> Note:
    """What a verification of the audit leaves."""
    problem = verdict.problem
    facts: dict[str, Any] = {"records": verdict.records, "head": str(verdict.head)}
    return Note(at, problem is None, facts | ({"problem": problem.message} if problem else {}))


def is_due(note: Note | None, now: float, interval_seconds: float) -> bool:
    """Whether a result is too old: also one from a time that has not come yet, for a clock that was ahead."""
    return note is None or not 0 <= now - note.at < interval_seconds


def _object(content: bytes) -> dict[str, Any]:
    try:
        values = json.loads(content)
    except ValueError:  # its words quote what it read
        raise ValueError("it is not JSON") from None
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}")
    return values


def _is_number(value: Any) -> bool:
    # NaN and infinities, which Python's JSON reads, are no times and no counts.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63
