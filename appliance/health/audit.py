"""Is the audit whole? The last verification's result, renewed where it is too old."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.core import upkeep_judgement, upkeep_note
from appliance.core.upkeep import Outcome, Text
from appliance.core.upkeep_note import Note
from appliance.errors import OperatorError
from appliance.health.upkeep_note import NoteUnreadable, read


def look(path: Path, now: float, interval_seconds: float, verify: Callable[[], Note]) -> Outcome:
    """See how the audit stands.

    Args:
        path: ``audit.json``; one that cannot be used is as none.
        now: Unix seconds.
        interval_seconds: age at which a result is renewed.
        verify: walks along the whole chain; may raise OperatorError where it cannot be read.
    """
    try:
        note = read(path)
    except NoteUnreadable:
        note = None
    if note is not None and not upkeep_note.is_due(note, now, interval_seconds):
        return upkeep_judgement.audit(note, now)
    try:
        return upkeep_judgement.audit(verify(), now)
    except OperatorError as err:
        # What was known before is still what is known: its time says how old it is.
        samples = upkeep_judgement.audit(note, now).samples if note else ()
        reason = Text(err.message, f"검증할 수 없음: {err.message}")
        remedy = Text(err.remedy, "감사 기록 파일과 권한을 확인하세요 (docs/upkeep.md).")
        return upkeep_judgement.unknown("audit", reason, remedy, samples)
