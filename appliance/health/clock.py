"""How far is the clock off? From the log of chrony's measurements.

Its command socket is not asked: whoever may connect to it may also set the
clock, and must be able to write into its directory.
"""

from __future__ import annotations

import os
from pathlib import Path

from appliance.core import clock_log, upkeep_judgement
from appliance.core.upkeep import Outcome, Text

#: Of the log's end; a line has about 140 bytes.
_TAIL_BYTES = 4096


def look(path: Path, now: float) -> Outcome:
    """See what was measured last.

    Args:
        path: chrony's ``tracking.log``.
        now: Unix seconds.
    """
    try:
        measured = clock_log.last(_tail(path))
    except FileNotFoundError:
        measured = None
    except OSError as err:
        why = err.strerror or type(err).__name__
        return upkeep_judgement.unknown(
            "clock", Text(f"{path} cannot be read: {why}", f"{path}을(를) 읽을 수 없음: {why}")
        )
    except ValueError as err:
        return upkeep_judgement.unknown("clock", Text(f"{path}: {err}", f"{path}: 마지막 줄을 읽을 수 없음"))
    return upkeep_judgement.clock(measured, now)


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        text = file.read().decode("ascii", errors="replace")
    # A line that is being written has no end yet; where the tail begins within one, it is not the last.
    return text[: text.rfind("\n") + 1]
