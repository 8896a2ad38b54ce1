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


def read(path: Path) -> Note | None:
    """A note, None if there is none; raises NoteUnreadable."""
    try:
        return upkeep_note.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as err:
        raise NoteUnreadable(path, err.strerror or type(err).__name__) from None
    except ValueError as err:
        raise NoteUnreadable(path, str(err)) from None
