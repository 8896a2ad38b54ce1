"""Keeping the running total of dropped packets: at each upkeep, each statement, and around each load of the rules."""

from __future__ import annotations

import time
from collections.abc import Mapping

import typer

from appliance.cli import upkeep_notes
from appliance.core import drop_total
from appliance.core.drop_total import Total
from appliance.core.nft_listing import Dropped
from appliance.health import drop_total as health
from appliance.health import egress
from appliance.health.upkeep_note import NoteUnreadable
from appliance.settings import Settings


def up_seconds() -> float:
    """How long this machine has been up, asleep or not (clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def keep(tree: Settings, counters: Mapping[str, Dropped] | None = None) -> Total | None:
    """Add the counters to the total and leave it; None where there are no counters or the total cannot be read.

    Args:
        tree: the settings.
        counters: as the kernel has them; by default it is asked.
    """
    found = egress.counters() if counters is None else counters
    if not found:
        return None
    try:
        total = health.now(tree.upkeep_dir, found, time.time(), up_seconds())
    except NoteUnreadable as err:  # kept as it is: what it counted is for a person to see
        typer.echo(f"warning: {err}; remove it to begin a new count.", err=True)
        return None
    upkeep_notes.leave(tree.upkeep_dir / drop_total.FILE_NAME, drop_total.to_note(total))
    return total
