"""What did the last privacy test find? From what ``appliance privacy-test`` left."""

from __future__ import annotations

from pathlib import Path

from appliance.core import upkeep_judgement
from appliance.core.upkeep import Outcome
from appliance.health.upkeep_note import NoteUnreadable, read


def look(path: Path, now: float) -> Outcome:
    """See when it ran and how it ended.

    Args:
        path: ``privacy-test.json``.
        now: Unix seconds.
    """
    try:
        return upkeep_judgement.privacy_test(read(path), now)
    except NoteUnreadable as err:
        return upkeep_judgement.unknown("privacy_test", err.reason)
