"""Reading what other runs left in ``<state_dir>/upkeep/``."""

from __future__ import annotations

from pathlib import Path

from appliance.core import upkeep_note
from appliance.core.upkeep import Text
from appliance.core.upkeep_note import Note


class NoteUnreadable(Exception):
    """A file is there and cannot be used; ``reason`` says why."""

    def __init__(self, path: Path, why: str) -> None:
        self.reason = Text(f"{path.name} cannot be read: {why}", f"{path.name}을(를) 읽을 수 없음: {why}")
        super().__init__(self.reason.english)


def content(path: Path) -> bytes | None:
    """The bytes of a file, None if there is none; raises NoteUnreadable."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise NoteUnreadable(path, err.strerror or type(err).__name__) from None


def read(path: Path) -> Note | None:
    """A note, None if there is none; raises NoteUnreadable."""
    found = content(path)
    try:
        return None if found is None else upkeep_note.decode(found)
    except ValueError as err:
        raise NoteUnreadable(path, str(err)) from None


def planned_rules(path: Path) -> str:
    """The digest in ``egress.json``; raises NoteUnreadable, also where there is none."""
    found = content(path)
    if found is None:
        raise NoteUnreadable(path, "no plan of the rules is there")
    try:
        return upkeep_note.planned_rules(found)
    except ValueError as err:
        raise NoteUnreadable(path, str(err)) from None
