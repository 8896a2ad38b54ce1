"""What electricity a model's answers took and what it cost: arithmetic in exact units.

A joule is a watt-second, so a kilowatt-hour is 3,600,000 J. The energy of a
period is that of the cards, whether they worked or waited, and it is spread
over the apps by their share of its output tokens: a token of output is a step
of the engine, one of input a small part of one. So an app pays its part of the
idle time too, and the parts add up to the whole. Energy of a period without any
output belongs to no app.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from appliance.core.usage import HOUR_SECONDS, Place, Tally

JOULES_PER_KWH = 3_600_000
_MILLION = 1_000_000


@dataclass(frozen=True)
class Measured:
    """The energy of a period, as far as it was measured.

    Args:
        joules: of all cards.
        since: first sample, Unix seconds.
        until: last sample, Unix seconds.
        source: ``counter`` (the cards' own energy counter) or ``power`` (of a card that counts none: its mean power).
        exporters: whose cards these are, by address.
    """

    joules: float
    since: float
    until: float
    source: Literal["counter", "power"] = "counter"
    exporters: tuple[str, ...] = ()

    @property
    def kwh(self) -> float:
        """The same in kilowatt-hours."""
        return self.joules / JOULES_PER_KWH


@dataclass(frozen=True)
class TokenPrice:
    """A price of tokens to compare with, as providers state it.

    Args:
        input_usd: US dollars for a million tokens of input.
        output_usd: US dollars for a million tokens of output.
        won_per_usd: rate of exchange.
    """

    input_usd: float
    output_usd: float
    won_per_usd: float

    def won(self, tally: Tally) -> float:
        """What these tokens cost at this price."""
        dollars = tally.input_tokens * self.input_usd + tally.output_tokens * self.output_usd
        return dollars * self.won_per_usd / _MILLION


@dataclass(frozen=True)
class AppCost:
    """One app's part.

    Args:
        app: its name.
        tally: what it used.
        share: of the output tokens, 0 to 1.
        joules: its part of the energy; None where none was measured.
        won: what that costs; None without energy or price.
    """

    app: str
    tally: Tally
    share: float
    joules: float | None
    won: float | None


@dataclass(frozen=True)
class Cost:
    """What a period cost.

    Args:
        measured: the energy; None where none was measured.
        won_per_kwh: price of electricity; 0 if cost is switched off.
        used: what all apps used while energy was measured, or in the whole period where it never was.
        apps: the parts, largest first.
        unmeasured: what they used in hours in which no energy was measured; not in ``used``.
    """

    measured: Measured | None
    won_per_kwh: float
    used: Tally
    apps: tuple[AppCost, ...] = ()
    unmeasured: Tally = field(default_factory=Tally)

    @property
    def won(self) -> float | None:
        """The cards' electricity, idle time included; None without energy or price."""
        return won(self.measured.joules, self.won_per_kwh) if self.measured and self.won_per_kwh else None

    @property
    def won_per_1000_output_tokens(self) -> float | None:
        """None without cost or output."""
        return None if self.won is None else _per_1000(self.won, self.used)

    @property
    def joules_per_1000_output_tokens(self) -> float | None:
        """None without energy or output."""
        return None if self.measured is None else _per_1000(self.measured.joules, self.used)


def won(joules: float, won_per_kwh: float) -> float:
    """What so much energy costs."""
    return joules * won_per_kwh / JOULES_PER_KWH


def cost(booked: Mapping[Place, Tally], measured: Measured | None, won_per_kwh: float) -> Cost:
    """Spread the energy of a period over the apps.

    Tokens are booked by the hour, so an hour counts as measured if energy was measured in any part of it.

    Args:
        booked: what each app used of each model in each hour of the period.
        measured: the energy, if any is known.
        won_per_kwh: price of electricity; 0 leaves the won out.
    """
    used, unmeasured = Tally(), Tally()
    apps: dict[str, Tally] = {}
    for place, tally in booked.items():
        if measured is not None and not _is_measured(place.hour, measured):
            unmeasured.add(tally)
            continue
        used.add(tally)
        apps.setdefault(place.app, Tally()).add(tally)
    parts = []
    for app, tally in sorted(apps.items(), key=lambda item: (-item[1].output_tokens, item[0])):
        share = tally.output_tokens / used.output_tokens if used.output_tokens else 0.0
        joules = measured.joules * share if measured is not None else None
        price = won(joules, won_per_kwh) if joules is not None and won_per_kwh else None
        parts.append(AppCost(app, tally, share, joules, price))
    return Cost(measured, won_per_kwh, used, tuple(parts), unmeasured)


def _is_measured(hour: int, measured: Measured) -> bool:
    return hour + HOUR_SECONDS > measured.since and hour <= measured.until


def _per_1000(amount: float, used: Tally) -> float | None:
    return amount * 1000 / used.output_tokens if used.output_tokens else None
