"""What the packet filter dropped in all: its counters added up over the loads that begin them at 0.

The kernel's counters are gone with each load of the rules and each restart of
the machine. A counter that is smaller than it was seen before has begun anew,
so all of it is new; where the machine was up for longer than it is now, all of
them have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.core.nft_listing import Dropped
from appliance.core.upkeep_note import Note

#: In ``<state_dir>/upkeep/``.
FILE_NAME = "egress-total.json"
_NONE = Dropped(0, 0)


@dataclass(frozen=True)
class Total:
    """A running total.

    Attributes:
        since: when it was begun, Unix seconds.
        at: when the counters were seen last, Unix seconds.
        up_seconds: how long the machine had been up then.
        dropped: in all, by whose packets.
        seen: the counters as they were seen last.
        begun_anew: how often the counters were found to have begun anew.
    """

    since: float
    at: float
    up_seconds: float
    dropped: Mapping[str, Dropped]
    seen: Mapping[str, Dropped]
    begun_anew: int = 0


def add(before: Total | None, counters: Mapping[str, Dropped], at: float, up_seconds: float) -> Total:
    """The total with what the counters say now.

    Args:
        before: the last one; None for the first, which takes the counters as they are.
        counters: by source, as the kernel has them.
        at: now, Unix seconds.
        up_seconds: how long the machine has been up.
    """
    if before is None:
        return Total(at, at, up_seconds, dict(counters), dict(counters))
    restarted = up_seconds < before.up_seconds
    dropped, anew = dict(before.dropped), restarted
    for source, now in counters.items():
        last = before.seen.get(source, _NONE)
        if restarted or now.packets < last.packets or now.bytes < last.bytes:
            last, anew = _NONE, True
        sum_ = dropped.get(source, _NONE)
        dropped[source] = Dropped(sum_.packets + now.packets - last.packets, sum_.bytes + now.bytes - last.bytes)
    return Total(before.since, at, up_seconds, dropped, dict(counters), before.begun_anew + anew)


def to_note(total: Total) -> Note:
    """As it is left for the next run; good where the engine's user has sent nothing."""
    facts = {
        "since": total.since,
        "up_seconds": total.up_seconds,
        "begun_anew": total.begun_anew,
        "dropped": {source: one._asdict() for source, one in total.dropped.items()},
        "seen": {source: one._asdict() for source, one in total.seen.items()},
    }
    return Note(total.at, not total.dropped.get("engine", _NONE).packets, facts)


def of_note(note: Note) -> Total:
    """Read :func:`to_note`'s; raises ValueError where it is none."""
    since, up_seconds, begun_anew = (note.number(name) for name in ("since", "up_seconds", "begun_anew"))
    if since is None or up_seconds is None or begun_anew is None:
        raise ValueError("it is no total of dropped packets")
    dropped, seen = (_counters(note.facts.get(name)) for name in ("dropped", "seen"))
    return Total(since, note.at, up_seconds, dropped, seen, int(begun_anew))


def _counters(values: Any) -> dict[str, Dropped]:
    try:
        found = {str(source): Dropped(int(one["packets"]), int(one["bytes"])) for source, one in values.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError("it is no total of dropped packets") from None
    if any(number < 0 for one in found.values() for number in one):
        raise ValueError("it has a count below 0")
    return found
