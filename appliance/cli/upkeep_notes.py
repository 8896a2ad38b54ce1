"""Leaving a result in ``<state_dir>/upkeep/`` for upkeep and for reports."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path

import typer

from appliance import durable
from appliance.core import upkeep_note
from appliance.core.audit_chain import Mark, Verdict
from appliance.core.upkeep_note import Note
from appliance.gateway.record_reader import RecordReader
from appliance.health.privacy import Report
from appliance.settings import Settings

AUDIT = "audit.json"
BACKUP = "backup.json"
PRIVACY_TEST = "privacy-test.json"
_DIRECTORY_MODE = 0o750
_FILE_MODE = 0o640


def verify_audit(settings: Settings, heads: list[Mark]) -> tuple[Verdict, Note]:
    """Walk along the audit's chain and leave the result.

    Args:
        settings: of the box.
        heads: noted elsewhere, that must be in the chain.

    Raises:
        StateUnusable: it cannot be read; the last result stays.
    """
    verdict = RecordReader(settings.record_database_path).verify(heads)
    note = upkeep_note.of_audit(verdict, int(time.time()))
    leave(settings.upkeep_dir / AUDIT, note)
    return verdict, note


def of_privacy_test(report: Report, at: float) -> Note:
    """What a privacy test that came to a result leaves: places and counts, none of the words."""
    return Note(int(at), not report.finds, {"canaries_found": len(report.finds), **asdict(report)})


def leave(path: Path, note: Note) -> None:
    """Write a note in one step; where that fails the command that had the result goes on, and says so.

    Written by root it belongs to whoever owns the state directory, so that the
    appliance's own user can replace it. Where there is no state directory yet, it is made.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        owner = path.parent.parent.stat()
        as_root = os.geteuid() == 0
        if not path.parent.exists():
            path.parent.mkdir(mode=_DIRECTORY_MODE)
            if as_root:
                os.chown(path.parent, owner.st_uid, owner.st_gid, follow_symlinks=False)
        fresh.unlink(missing_ok=True)
        with durable.exclusive(fresh, _FILE_MODE) as file:
            file.write(upkeep_note.encode(note))
            if as_root:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        fresh.replace(path)
        durable.sync_directory(path.parent)
    except OSError as err:
        typer.echo(
            f"warning: {path} cannot be written ({err.strerror}), so upkeep does not see the result. "
            f"Run it as root or as the owner of {path.parent.parent}; upkeep must be a directory there, on a disk "
            "that is not full.",
            err=True,
        )
