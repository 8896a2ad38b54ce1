"""How ``appliance cost`` shows its answer: lines and a table for a person, or one JSON document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from appliance.core.energy import Cost, Measured, TokenPrice
from appliance.core.usage import Tally
from appliance.errors import OperatorError

#: Energy that is missing for longer than this at an end of a period is told of.
_GAP_SECONDS = 900


@dataclass(frozen=True)
class Period:
    """A span of time.

    Args:
        name: what to call it.
        since: Unix seconds, a whole hour: the account of use is kept by the hour.
        until: Unix seconds.
    """

    name: str
    since: int
    until: float


Costs = list[tuple[Period, Cost]]


def document(costs: Costs, price: TokenPrice | None, problem: OperatorError | None) -> dict[str, Any]:
    """The answer as JSON's types; times in UTC.

    Args:
        costs: each period with what it cost.
        price: to compare with.
        problem: why energy is missing, if it is.
    """
    return {
        "won_per_kwh": costs[0][1].won_per_kwh,
        "problem": {"message": problem.message, "remedy": problem.remedy} if problem else None,
        "periods": [_period_document(period, what, price) for period, what in costs],
    }


def _period_document(period: Period, what: Cost, price: TokenPrice | None) -> dict[str, Any]:
    measured = what.measured
    return {
        "name": period.name,
        "since": _utc(period.since),
        "until": _utc(period.until),
        "energy": None
        if measured is None
        else {
            "joules": measured.joules,
            "kwh": measured.kwh,
            "measured_since": _utc(measured.since),
            "measured_until": _utc(measured.until),
            "source": measured.source,
            "exporters": list(measured.exporters),
        },
        "won": what.won,
        "won_per_1000_output_tokens": what.won_per_1000_output_tokens,
        "joules_per_1000_output_tokens": what.joules_per_1000_output_tokens,
        **_sums(what.used),
        "not_measured": _sums(what.unmeasured),
        "compared_won": price.won(what.used) if price else None,
        "apps": [
            {
                "app": part.app,
                **_sums(part.tally),
                "share": part.share,
                "joules": part.joules,
                "won": part.won,
                "compared_won": price.won(part.tally) if price else None,
            }
            for part in what.apps
        ],
    }


def _sums(tally: Tally) -> dict[str, int]:
    return {
        "requests": tally.requests,
        "input_tokens": tally.input_tokens,
        "output_tokens": tally.output_tokens,
    }


def show(costs: Costs, price: TokenPrice | None) -> None:
    """Print the answer for a person; times are local.

    Args:
        costs: each period with what it cost.
        price: to compare with.
    """
    console = Console()
    # Where nobody's terminal sets a width (a pipe, a log), nothing is cut.
    console = console if console.is_terminal else Console(width=160)
    for place, (period, what) in enumerate(costs):
        lines = [f"{period.name}: {_local(period.since)} to {_local(period.until)}", *_lines(period, what, price)]
        for line in lines if place == 0 else ["", *lines]:
            console.print(Text(line))
        console.print(_table(what, price))


def _lines(period: Period, what: Cost, price: TokenPrice | None) -> list[str]:
    used = what.used
    lines = [f"  tokens        {used.input_tokens:,} in, {used.output_tokens:,} out, {used.requests:,} requests"]
    measured = what.measured
    if measured is None:
        lines.append("  GPU energy    unknown")
    else:
        cost_of_it = "" if what.won is None else f" = {_won(what.won)} at {what.won_per_kwh:g} won/kWh"
        lines.append(f"  GPU energy    {measured.kwh:,.3f} kWh{cost_of_it}, idle time included")
        lines += [f"  note          {note}" for note in _notes(period, what, measured)]
    joules, won = what.joules_per_1000_output_tokens, what.won_per_1000_output_tokens
    if joules is not None:
        lines.append(f"  1,000 out     {joules / 1000:,.1f} kJ{'' if won is None else f', {_won(won)}'}")
    if price is not None:
        lines.append(
            f"  compared      {_won(price.won(used))} for the same tokens at {price.input_usd:g} and "
            f"{price.output_usd:g} USD a million and {price.won_per_usd:g} won a USD"
        )
    return lines


def _notes(period: Period, what: Cost, measured: Measured) -> list[str]:
    """What the reader must know to take the figures for what they are."""
    notes = []
    if measured.since - period.since > _GAP_SECONDS or period.until - measured.until > _GAP_SECONDS:
        rest = what.unmeasured.output_tokens
        notes.append(
            f"energy is known from {_local(measured.since)} to {_local(measured.until)} only; the figures are of that "
            f"time{f', and {rest:,} more output tokens are not in them' if rest else ''}"
        )
    if measured.source == "power":
        notes.append("a card counts no energy: its mean power was taken")
    if len(measured.exporters) > 1:
        notes.append(f"the cards of {', '.join(measured.exporters)} together; --exporter chooses one")
    return notes


def _table(what: Cost, price: TokenPrice | None) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 2))
    headings = ["app", "requests", "tok. in", "tok. out", "share"]
    headings += ["cost"] if what.won is not None else []
    headings += ["compared"] if price is not None else []
    for name in headings:
        table.add_column(name, no_wrap=True, justify="left" if name == "app" else "right")
    for part in what.apps:
        tally = part.tally
        cells = [f"{number:,}" for number in (tally.requests, tally.input_tokens, tally.output_tokens)]
        cells += [f"{part.share:.1%}"]
        cells += [_won(part.won)] if part.won is not None else []
        cells += [_won(price.won(tally))] if price is not None else []
        table.add_row(Text(part.app), *cells)
    return table


def _won(amount: float) -> str:
    """Small amounts with two decimals: an answer costs a part of a won."""
    return f"{amount:,.0f} won" if amount >= 1000 else f"{amount:,.2f} won"


def _local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(round(seconds), UTC).isoformat().replace("+00:00", "Z")
