"""The running total of dropped packets, as the last run left it, with what the counters say now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from appliance.core import drop_total
from appliance.core.drop_total import Total
from appliance.core.nft_listing import Dropped
from appliance.health import upkeep_note
from appliance.health.upkeep_note import NoteUnreadable


def now(directory: Path, counters: Mapping[str, Dropped], at: float, up_seconds: float) -> Total:
    """The total of this moment; nothing is written.

    Args:
        directory: ``<state_dir>/upkeep``.
        counters: as the kernel has them.
        at: Unix seconds.
        up_seconds: how long the machine has been up.

    Raises:
        NoteUnreadable: there is one that cannot be used.
    """
    path = directory / drop_total.FILE_NAME
    note = upkeep_note.read(path)
    try:
        before = None if note is None else drop_total.of_note(note)
    except ValueError as err:
        raise NoteUnreadable(path, str(err)) from None
    return drop_total.add(before, counters, at, up_seconds)
