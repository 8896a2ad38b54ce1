"""``appliance keys``: make, list and revoke API keys."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from appliance.cli import state
from appliance.cli.state import StateDir
from appliance.core.api_key import PREFIX, ApiKey
from appliance.errors import KeyStoreError
from appliance.gateway.keystore import KeyStore


def _a_number(days: float | None) -> float | None:
    """``nan`` passes every range, and a key that ends then would never end."""
    if days is not None and math.isnan(days):
        raise typer.BadParameter("not a number of days")
    return days


app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")

SECONDS_PER_DAY = 86_400
#: A hundred years; "never" is no option at all.
MAX_EXPIRES_DAYS = 36_500
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Name of the app that will hold the key.")],
    state_dir: StateDir = None,
    expires_days: Annotated[
        float | None,
        typer.Option("--expires-days", min=0, max=MAX_EXPIRES_DAYS, help="Days until it ends.", callback=_a_number),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is shown this once; only its digest is stored.

    Example: appliance keys create --name homework-app --expires-days 365
    """
    now = time.time()
    ends = None if expires_days is None else now + expires_days * SECONDS_PER_DAY
    record, key = _store(state_dir).create(name, now=now, expires_at=ends)
    if as_json:
        typer.echo(json.dumps({"key": key, **_view(record)}, ensure_ascii=False))
        return
    typer.echo(key)
    typer.echo("Keep it now: it is not stored and cannot be shown again.", err=True)


@app.command("list")
def list_keys(state_dir: StateDir = None, as_json: Json = False) -> None:
    """List the keys: their ids, apps and dates, never the keys themselves.

    Example: appliance keys list --json
    """
    keys = _store(state_dir).list()
    if as_json:
        typer.echo(json.dumps([_view(key) for key in keys], ensure_ascii=False))
        return
    table = Table(box=None)
    for title in ("key", "app", "made", "ends", "state"):
        table.add_column(title, no_wrap=title != "app", overflow="fold")
    for key in keys:
        row = _view(key)
        # Text: an app's name is not markup.
        table.add_row(key.key_id, Text(key.app), row["created_at"], row["expires_at"] or "never", row["state"])
    Console().print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as in the list.")], state_dir: StateDir = None
) -> None:
    """End a key. A running gateway refuses it from the next request on.

    Example: appliance keys revoke abcd2345
    """
    wanted = key_id.removeprefix(PREFIX).split("-", 1)[0]
    if not wanted:
        raise KeyStoreError("No key id was given.")
    revoked = _store(state_dir).revoke(wanted, now=time.time())
    typer.echo(f"revoked: {revoked.key_id} ({revoked.app})", err=True)


def _store(state_dir: StateDir) -> KeyStore:
    return KeyStore(state.load(state_dir).key_database_path)


def _view(key: ApiKey) -> dict[str, str | None]:
    condition = "revoked" if key.revoked_at is not None else "usable" if key.is_usable(time.time()) else "expired"
    return {
        "key_id": key.key_id,
        "app": key.app,
        "created_at": _date(key.created_at),
        "expires_at": _date(key.expires_at),
        "revoked_at": _date(key.revoked_at),
        "state": condition,
    }


def _date(unix_seconds: float | None) -> str | None:
    return None if unix_seconds is None else datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="seconds")
