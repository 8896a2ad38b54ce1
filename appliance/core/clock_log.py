"""What chrony measured last: a line of its ``tracking.log``, as chrony.conf(5) describes it under ``log tracking``.

Date and time (UTC), address of the source, stratum, frequency and its error in
ppm, **offset in seconds**, leap status (``?`` where no source is followed),
and what is not read here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

_FIELDS = 14


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        at: when, Unix seconds.
        offset_seconds: how far the clock was off its source, either way; None where no source was followed.
    """

    at: float
    offset_seconds: float | None


def last(text: str) -> Measured | None:
    """The newest measurement in the end of a log; None where there is none.

    Raises:
        ValueError: its last line is none of chrony's.
    """
    # The titles that chrony writes again and again.
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("=", "Date (UTC)"))]
    if not lines:
        return None
    words = lines[-1].split()
    if len(words) < _FIELDS:
        raise ValueError("its last line is no measurement")
    try:
        at = datetime.strptime(f"{words[0]} {words[1]}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        offset = abs(float(words[6]))
    except ValueError:
        raise ValueError("its last line is no measurement") from None
    if not math.isfinite(offset):
        raise ValueError("its last line is no measurement")
    return Measured(at, None if words[7] == "?" else offset)
