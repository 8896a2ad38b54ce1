"""``appliance keys``: make, list, change, rotate and revoke API keys."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from appliance.cli import state
from appliance.cli.state import StateDir
from appliance.core.api_key import PREFIX, ApiKey
from appliance.core.limits import Limits
from appliance.errors import KeyStoreError
from appliance.gateway.keystore import MAX_LIMIT, KeyStore


class Class(StrEnum):
    """Who is served first."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


def _a_number(value: float | None) -> float | None:
    """``nan`` passes every range, and a key that ends then would never end."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("not a number")
    return value


app = typer.Typer(no_args_is_help=True, help="Make, list, change, rotate and revoke API keys.")

SECONDS_PER_DAY = 86_400
SECONDS_PER_HOUR = 3_600
#: A hundred years; "never" is no option at all.
MAX_EXPIRES_DAYS = 36_500
MAX_OVERLAP_HOURS = 24 * 366
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyId = Annotated[str, typer.Argument(help="The key's id, as in the list.")]
ExpiresDays = Annotated[
    float | None,
    typer.Option("--expires-days", min=0, max=MAX_EXPIRES_DAYS, help="Days until it ends.", callback=_a_number),
]


def _limit(name: str, text: str) -> Any:
    return typer.Option(name, min=1, max=MAX_LIMIT, help=f"{text}; no limit if left out.")


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Name of the app that will hold the key.")],
    state_dir: StateDir = None,
    expires_days: ExpiresDays = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="A model or alias it may ask for; repeat for more, all if left out."),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", help="NAME=MODEL: a name of this key's own for a model; NAME= for the active one."),
    ] = None,
    priority: Annotated[
        Class, typer.Option("--priority", help="Batches stand back behind people's questions.")
    ] = Class.INTERACTIVE,
    requests_per_minute: Annotated[int | None, _limit("--requests-per-minute", "Most requests in any minute")] = None,
    tokens_per_minute: Annotated[int | None, _limit("--tokens-per-minute", "Most tokens in any minute")] = None,
    concurrent_requests: Annotated[int | None, _limit("--concurrent-requests", "Most requests at once")] = None,
    tokens_per_day: Annotated[int | None, _limit("--tokens-per-day", "Most tokens in a calendar day")] = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is shown this once; only its digest is stored.

    Example: appliance keys create --name homework-app --requests-per-minute 600 --tokens-per-day 2000000
    """
    now = time.time()
    record, key = _store(state_dir).create(
        name,
        now=now,
        expires_at=_ends(now, expires_days),
        models=frozenset(model) if model else None,
        aliases=dict(_alias(text) for text in alias or []),
        priority=priority.value,
        limits=Limits(requests_per_minute, tokens_per_minute, concurrent_requests, tokens_per_day),
    )
    _show_new(record, key, as_json=as_json)


@app.command("list")
def list_keys(state_dir: StateDir = None, as_json: Json = False) -> None:
    """List the keys: their ids, apps, dates and limits, never the keys themselves.

    Example: appliance keys list --json
    """
    keys = _store(state_dir).list()
    if as_json:
        typer.echo(json.dumps([_view(key) for key in keys], ensure_ascii=False))
        return
    table = Table(box=None)
    for title in ("key", "app", "made (UTC)", "ends (UTC)", "state", "may"):
        table.add_column(title, no_wrap=title not in {"app", "may"}, overflow="fold")
    for key in keys:
        row = _view(key)
        # Text: an app's name is not markup.
        table.add_row(
            key.key_id,
            Text(key.app),
            _short(row["created_at"]),
            _short(row["expires_at"]),
            row["state"],
            Text(_rights(key)),
        )
    Console().print(table)


@app.command()
def rotate(
    key_id: KeyId,
    state_dir: StateDir = None,
    overlap_hours: Annotated[
        float,
        typer.Option(
            "--overlap-hours",
            min=0,
            max=MAX_OVERLAP_HOURS,
            help="How long the old key goes on working, to change it in the app.",
            callback=_a_number,
        ),
    ] = 24.0,
    expires_days: ExpiresDays = None,
    as_json: Json = False,
) -> None:
    """Make a new secret for the same app with the same rights and limits; the old key ends by itself.

    The new key lives as long as the old one was meant to, unless --expires-days says otherwise.

    Example: appliance keys rotate abcd2345 --overlap-hours 72
    """
    now = time.time()
    record, key = _store(state_dir).rotate(
        _wanted(key_id),
        now=now,
        overlap_seconds=overlap_hours * SECONDS_PER_HOUR,
        expires_at=_ends(now, expires_days),
    )
    _show_new(record, key, as_json=as_json)


def _change(name: str, text: str) -> Any:
    return typer.Option(name, min=0, max=MAX_LIMIT, help=f"{text}; 0 for no limit, unchanged if left out.")


@app.command()
def change(
    key_id: KeyId,
    state_dir: StateDir = None,
    priority: Annotated[
        Class | None, typer.Option("--priority", help="Batches stand back behind people's questions.")
    ] = None,
    requests_per_minute: Annotated[int | None, _change("--requests-per-minute", "Most requests in any minute")] = None,
    tokens_per_minute: Annotated[int | None, _change("--tokens-per-minute", "Most tokens in any minute")] = None,
    concurrent_requests: Annotated[int | None, _change("--concurrent-requests", "Most requests at once")] = None,
    tokens_per_day: Annotated[int | None, _change("--tokens-per-day", "Most tokens in a calendar day")] = None,
    as_json: Json = False,
) -> None:
    """Change a key's limits or class. A running gateway holds to them from the next request on.

    Example: appliance keys change abcd2345 --requests-per-minute 1200 --tokens-per-day 0
    """
    given = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "concurrent_requests": concurrent_requests,
        "tokens_per_day": tokens_per_day,
    }
    limits = {name: value or None for name, value in given.items() if value is not None}
    if not limits and priority is None:
        raise KeyStoreError("Nothing to change was given.", remedy="Name a limit or --priority; see --help.")
    changed = _store(state_dir).change(
        _wanted(key_id), now=time.time(), limits=limits, priority=priority.value if priority else None
    )
    if as_json:
        typer.echo(json.dumps(_view(changed), ensure_ascii=False))
    else:
        typer.echo(f"changed: {changed.key_id} ({changed.app}): {_rights(changed)}", err=True)


@app.command()
def revoke(key_id: KeyId, state_dir: StateDir = None, as_json: Json = False) -> None:
    """End a key. A running gateway refuses it from the next request on.

    Example: appliance keys revoke abcd2345
    """
    revoked = _store(state_dir).revoke(_wanted(key_id), now=time.time())
    if as_json:
        typer.echo(json.dumps(_view(revoked), ensure_ascii=False))
    else:
        typer.echo(f"revoked: {revoked.key_id} ({revoked.app})", err=True)


def _store(state_dir: StateDir) -> KeyStore:
    return KeyStore(state.load(state_dir).key_database_path)


def _wanted(key_id: str) -> str:
    wanted = key_id.removeprefix(PREFIX).split("-", 1)[0]
    if not wanted:
        raise KeyStoreError("No key id was given.")
    return wanted


def _alias(text: str) -> tuple[str, str]:
    name, equals, target = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter("write it as NAME=MODEL", param_hint="--alias")
    return name, target


def _ends(now: float, expires_days: float | None) -> float | None:
    return None if expires_days is None else now + expires_days * SECONDS_PER_DAY


def _show_new(record: ApiKey, key: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"key": key, **_view(record)}, ensure_ascii=False))
        return
    typer.echo(key)
    typer.echo("Keep it now: it is not stored and cannot be shown again.", err=True)


def _view(key: ApiKey) -> dict[str, Any]:
    condition = "revoked" if key.revoked_at is not None else "usable" if key.is_usable(time.time()) else "expired"
    return {
        "key_id": key.key_id,
        "app": key.app,
        "created_at": _date(key.created_at),
        "expires_at": _date(key.expires_at),
        "revoked_at": _date(key.revoked_at),
        "state": condition,
        "models": None if key.models is None else sorted(key.models),
        "aliases": dict(key.aliases),
        "priority": key.priority,
        "limits": asdict(key.limits),
        "replaced_by": key.replaced_by or None,
    }


def _rights(key: ApiKey) -> str:
    """What is not the default, in a few words."""
    parts: list[str] = [] if key.priority == "interactive" else [key.priority]
    if key.models is not None:
        parts.append("only " + ", ".join(sorted(key.models)))
    parts += [f"alias {name}={target or '(the active model)'}" for name, target in sorted(key.aliases.items())]
    units = {
        "requests_per_minute": "requests/min",
        "tokens_per_minute": "tokens/min",
        "concurrent_requests": "at once",
        "tokens_per_day": "tokens/day",
    }
    parts += [f"{value} {units[name]}" for name, value in asdict(key.limits).items() if value is not None]
    if key.replaced_by:
        parts.append(f"replaced by {key.replaced_by}")
    return "; ".join(parts)


def _short(date: str | None) -> str:
    """To the minute, UTC, as in the JSON."""
    return "never" if date is None else date[:16].replace("T", " ")


def _date(unix_seconds: float | None) -> str | None:
    return None if unix_seconds is None else datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="seconds")
