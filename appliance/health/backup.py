"""Is there a backup, and a fresh one? From what ``appliance backup`` left."""

from __future__ import annotations

from pathlib import Path

from appliance.core import upkeep_judgement
from appliance.core.upkeep import Outcome, Sample
from appliance.health.upkeep_note import NoteUnreadable, read


def look(path: Path, now: float, *, configured: bool) -> Outcome:
    """See when the last backup was made.

    Args:
        path: ``backup.json``.
        now: Unix seconds.
        configured: whether the settings ask for backups.
    """
    try:
        return upkeep_judgement.backup(read(path), configured=configured, now=now)
    except NoteUnreadable as err:
        samples = (Sample("appliance_backup_configured", configured),)
        return upkeep_judgement.unknown("backup", err.reason, samples=samples)
