"""``appliance cost``: what the model's electricity cost, and what the same tokens would cost elsewhere."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from appliance.cli import cost_page, state
from appliance.cli.cost_page import Period
from appliance.cli.state import StateDir
from appliance.core import energy
from appliance.core.energy import Cost, Measured, TokenPrice
from appliance.core.usage import HOUR_SECONDS
from appliance.errors import EnergyUnknown, OperatorError, PrometheusUnavailable
from appliance.gateway.record_reader import RecordReader
from appliance.health import prometheus
from appliance.health.prometheus import Prometheus


def cost(
    state_dir: StateDir = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="First hour of a period of your own, local time: 2026-03-01 or 2026-03-01T08:00."),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="First hour not in it any more, local time.")] = None,
    exporter: Annotated[
        str, typer.Option("--exporter", help="Count the cards of this exporter only, such as 127.0.0.1:9400.")
    ] = "",
    compare_input_usd: Annotated[
        float | None, typer.Option("--compare-input-usd", min=0, help="A provider's price of a million input tokens.")
    ] = None,
    compare_output_usd: Annotated[
        float | None, typer.Option("--compare-output-usd", min=0, help="Its price of a million output tokens.")
    ] = None,
    won_per_usd: Annotated[
        float | None, typer.Option("--won-per-usd", min=0, help="Rate of exchange to compare with.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what the GPU's electricity cost today and this month, per 1,000 output tokens and per app.

    Energy comes from Prometheus (energy.prometheus_url), the price from energy.won_per_kwh, tokens from the account
    of use. Without energy it prints the tokens alone and ends with exit status 69 (docs/cost.md).

    Example: appliance cost --compare-input-usd 1 --compare-output-usd 4 --won-per-usd 1400
    """
    tree = state.load(state_dir)
    price = _price(compare_input_usd, compare_output_usd, won_per_usd)
    periods = _periods(since, until, time.time())
    records = RecordReader(tree.record_database_path)
    server = Prometheus(tree.energy.prometheus_url)
    problem: OperatorError | None = None
    costs: list[tuple[Period, Cost]] = []
    for period in periods:
        booked = records.usage(period.since, int(period.until) + 1)
        measured: Measured | None = None
        if not isinstance(problem, PrometheusUnavailable):
            try:
                measured = prometheus.energy(server, period.since, period.until, exporter)
            except (PrometheusUnavailable, EnergyUnknown) as err:
                problem = err
        costs.append((period, energy.cost(booked, measured, tree.energy.won_per_kwh)))
    if as_json:
        typer.echo(json.dumps(cost_page.document(costs, price, problem), ensure_ascii=False))
    else:
        cost_page.show(costs, price)
    if problem is not None:
        typer.echo(f"No energy: {problem}", err=True)
        raise typer.Exit(problem.exit_code)


def _price(input_usd: float | None, output_usd: float | None, won_per_usd: float | None) -> TokenPrice | None:
    if input_usd is None and output_usd is None and won_per_usd is None:
        return None
    if input_usd is None or output_usd is None or won_per_usd is None:
        raise typer.BadParameter("--compare-input-usd, --compare-output-usd and --won-per-usd go together")
    return TokenPrice(input_usd, output_usd, won_per_usd)


def _periods(since: str | None, until: str | None, now: float) -> list[Period]:
    """Today and this month by the box's calendar, or the one that was asked for."""
    if since is None and until is None:
        # Without an offset, so that midnight has its own: clocks are put forward and back.
        local = datetime.fromtimestamp(now, UTC).astimezone().replace(tzinfo=None)
        today = local.replace(hour=0, minute=0, second=0, microsecond=0)
        days = (("today", today), ("this month", today.replace(day=1)))
        return [Period(name, _whole_hour(day), now) for name, day in days]
    if since is None:
        raise typer.BadParameter("--until needs --since")
    end = min(now, _whole_hour(_moment(until))) if until is not None else now
    period = Period("period", _whole_hour(_moment(since)), end)
    if period.until <= period.since:
        raise typer.BadParameter("the period ends before it begins, or has not begun")
    return [period]


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write times as 2026-03-01 or 2026-03-01T08:00") from None


def _whole_hour(moment: datetime) -> int:
    """Unix seconds of the beginning of its hour; without an offset it is local time."""
    seconds = int(moment.timestamp())
    return seconds - seconds % HOUR_SECONDS
