"""``appliance usage``: what each app used, from the account the gateway keeps with its audit."""

from __future__ import annotations

import csv
import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from appliance.cli import state
from appliance.cli.state import StateDir
from appliance.core.usage import HOUR_SECONDS, SUMS, group
from appliance.errors import SettingsInvalid
from appliance.gateway.record_reader import RecordReader

COLUMNS = (*SUMS[:-2], "queue_seconds", "generation_seconds")
# A table fits a terminal of 80 columns.
_HEADINGS = {
    "unmeasured": "unmeas.",
    "input_tokens": "tok. in",
    "output_tokens": "tok. out",
    "queue_seconds": "waited s",
    "generation_seconds": "worked s",
}


class By(StrEnum):
    """What to sum up by."""

    app = "app"
    model = "model"
    hour = "hour"
    day = "day"


def usage(
    state_dir: StateDir = None,
    by: Annotated[list[By] | None, typer.Option("--by", help="Sum up by this (repeatable); by default by app.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="First hour, UTC: 2026-03-01 or 2026-03-01T08:00.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="First hour not counted any more, UTC.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show requests, tokens, errors, waiting and generation time. Hours and days are UTC.

    Example: appliance usage --by app --by day --since 2026-03-01 --csv
    """
    if as_json and as_csv:
        raise typer.BadParameter("choose --json or --csv")
    names = [name.value for name in by or [By.app]]
    reader = RecordReader(state.load(state_dir).record_database_path)
    rows = group(reader.usage(_hour(since) or 0, _hour(until)), names)
    columns = [*names, *COLUMNS]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)
    else:
        table = Table(box=None)
        for name in columns:
            table.add_column(_HEADINGS.get(name, name), no_wrap=True, justify="left" if name in names else "right")
        for row in rows:
            table.add_row(*(str(row[name]) for name in columns))
        console = Console()
        # Where nobody's terminal sets a width (a pipe, a log), nothing is cut.
        (console if console.is_terminal else Console(width=160)).print(table)


def _hour(text: str | None) -> int | None:
    """Unix seconds of the hour's start."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsInvalid(
            "The time cannot be read.", remedy="Write it as 2026-03-01 or 2026-03-01T08:00."
        ) from None
    seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return seconds - seconds % HOUR_SECONDS


def _plain(value: str | float) -> str | float:
    """An app's name must not become a formula in a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value
