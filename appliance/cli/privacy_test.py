"""``appliance privacy-test``: plant canary words in a running appliance and look for them afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from appliance.cli import own_listener, serve, state, upkeep_notes
from appliance.cli.state import StateDir
from appliance.errors import NotConclusive, StateUnusable
from appliance.gateway import admin
from appliance.gateway.keystore import KeyStore
from appliance.health.privacy import PrivacyTest, Report, Target
from appliance.settings import Settings

#: How a key of the test's own is called in lists and in the audit.
APP = "privacy-test"


def run(
    state_dir: StateDir = None,
    model: Annotated[str, typer.Option(help="A name the appliance serves; aliases are fine.")] = "gpt-4o",
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file", help="Ask with the API key in this file, which stays. By default one is made and revoked."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send words that stand nowhere else through every route and failure, then search this box for them.

    Searched are the state directory, /var/log, journal, metrics, temporary files, command lines and whatever else
    the appliance's processes write. Exit status 0 if none was found, 1 if one was, 75 if nothing could be tested. The
    result is left in upkeep/privacy-test.json, from which `appliance upkeep` tells Prometheus.

    Example: appliance privacy-test --json
    """
    settings = state.load(state_dir)
    started = time.time()
    with _key(settings, key_file) as key, Console(stderr=True).status("starting") as status:
        test = PrivacyTest(_target(settings, key), started - 1, status.update)
        report = test.run(model)
    note = upkeep_notes.of_privacy_test(report, time.time())
    upkeep_notes.leave(settings.upkeep_dir / upkeep_notes.PRIVACY_TEST, note)
    if as_json:
        typer.echo(json.dumps(asdict(report), ensure_ascii=False))
    else:
        _print(report)
    raise typer.Exit(1 if report.finds else 0)


@contextmanager
def _key(settings: Settings, file: Path | None) -> Iterator[str]:
    """The key in the file, which leaves the key database alone; else one that lasts as long as the test."""
    if file is not None:
        yield _read(file)
        return
    store = KeyStore(settings.key_database_path)
    _see_that_it_has_keys(store)
    record, key = store.create(APP, now=time.time())
    try:
        yield key
    finally:
        store.revoke(record.key_id, now=time.time())


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise NotConclusive(
            f"The key file {file} cannot be read, so nothing was tested.",
            remedy="Let this user read it; `appliance keys create` prints what belongs there.",
        ) from None


def _see_that_it_has_keys(store: KeyStore) -> None:
    """A key of the test's own must never be the first: it would make an empty database in place of a lost one."""
    try:
        store.list()
    except StateUnusable as err:
        raise NotConclusive(
            f"{err.message} So nothing was tested.",
            remedy="Name the directory of the appliance that runs with --state-dir; "
            "`appliance keys create` makes its first key.",
        ) from None


def _target(settings: Settings, key: str) -> Target:
    gateway = settings.gateway
    pages: tuple[tuple[str, int, str], ...] = ()
    if gateway.admin_host and gateway.admin_port:  # else there are none, or nobody knows where
        admin_host = serve.reachable_host(gateway.admin_host)
        pages = tuple((admin_host, gateway.admin_port, path) for path in admin.PATHS)
    host = serve.reachable_host(gateway.host)
    return Target(
        host,
        gateway.port,
        key,
        settings.state_dir.absolute(),
        sockets=(settings.socket_path,),
        metrics=pages,
        trust=own_listener.trust(settings),
    )


def _print(report: Report) -> None:
    answered = sum(1 for status in report.planted.values() if status == 200)
    typer.echo(f"planted   {len(report.planted)} words, {answered} in requests that were answered")
    for place, count in report.searched.items():
        typer.echo(f"searched  {place}: {count}")
    for reason in report.unread:
        typer.echo(f"not read  {reason}")
    for find in report.finds:
        typer.echo(f"FOUND     what was planted in {find.planted}: {find.found}")
    typer.echo("result    " + (f"{len(report.finds)} found" if report.finds else "none found"))
