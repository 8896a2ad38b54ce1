"""The account of use: what each app used of each model in each hour, made from the audit's records.

It is folded from the same records, in the same transaction, so that the two
agree; ``fold`` over all records of an hour gives that hour's rows again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime

from appliance.core.audit_chain import CLOSE, WHOLE, Record

HOUR_SECONDS = 3600


@dataclass(slots=True)
class Tally:
    """Sums over requests. Durations in milliseconds.

    ``errors`` are requests refused, failed or interrupted; ``unmeasured`` are
    requests that reached the engine and whose tokens it never told, such as an
    unstreamed answer whose client left: their tokens are not in the sums.
    """

    requests: int = 0
    errors: int = 0
    cancelled: int = 0
    unmeasured: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    queue_ms: int = 0
    generation_ms: int = 0

    def add(self, other: Tally) -> None:
        """Add another's sums to these."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


#: Names of the sums, in order.
SUMS = tuple(field.name for field in fields(Tally))


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a request is booked: the hour of its end (Unix seconds of its start), the app, the model."""

    hour: int
    app: str
    model: str


def fold(records: Iterable[Record]) -> dict[Place, Tally]:
    """Book every ended request of an app; strangers and GETs use nothing."""
    booked: dict[tuple[int, str, str], Tally] = {}
    for record in records:
        if record.kind not in {CLOSE, WHOLE} or not record.app or record.method == "GET":
            continue
        seconds = record.at_ms // 1000
        place = (seconds - seconds % HOUR_SECONDS, record.app, record.model)
        tally = booked.get(place)
        if tally is None:
            tally = booked[place] = Tally()
        tally.requests += record.times
        tally.errors += record.times if record.outcome not in {"answered", "cancelled"} else 0
        tally.cancelled += record.outcome == "cancelled"
        # An engine that refused or failed without a token has none to tell.
        tally.unmeasured += (
            record.kind == CLOSE and not record.tokens_from and record.outcome in {"cancelled", "interrupted"}
        )
        tally.input_tokens += record.input_tokens
        tally.output_tokens += record.output_tokens
        tally.queue_ms += record.queue_ms
        tally.generation_ms += record.generation_ms
    return {Place(*place): tally for place, tally in booked.items()}


def group(booked: Mapping[Place, Tally], by: Iterable[str]) -> list[dict[str, str | int | float]]:
    """Sum up by ``app``, ``model``, ``hour`` or ``day`` and their combinations.

    Returns:
        Rows in order: the names grouped by, then the sums with the two
        durations as ``queue_seconds`` and ``generation_seconds``.
    """
    names = tuple(by)
    sums: dict[tuple[str, ...], Tally] = {}
    for place, tally in booked.items():
        sums.setdefault(tuple(_label(place, name) for name in names), Tally()).add(tally)
    return [{**dict(zip(names, key, strict=True)), **_shown(sums[key])} for key in sorted(sums)]


def _label(place: Place, name: str) -> str:
    if name == "app":
        return place.app
    if name == "model":
        return place.model
    moment = datetime.fromtimestamp(place.hour, UTC)
    return moment.strftime("%Y-%m-%d" if name == "day" else "%Y-%m-%dT%H:00Z")


def _shown(tally: Tally) -> dict[str, int | float]:
    values = dict(zip(SUMS, astuple(tally), strict=True))
    queue, generation = values.pop("queue_ms"), values.pop("generation_ms")
    return {**values, "queue_seconds": queue / 1000, "generation_seconds": generation / 1000}
