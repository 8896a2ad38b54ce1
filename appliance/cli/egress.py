"""``appliance egress``: the packet filter that the settings give: print, check, load it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Annotated

import typer

from appliance import durable
from appliance.cli import drop_totals, state
from appliance.cli.state import StateDir
from appliance.core import egress, nft_listing
from appliance.errors import PacketFilterFailed, SettingsInvalid, StateUnusable
from appliance.settings import Settings

#: The name upkeep looks for in its directory.
PLAN_NAME = "egress.json"
_PLAN_MODE = 0o644
#: Holds connections open while the installation loads the rules, which takes it away right after.
_OF_THE_INSTALLATION = "inet appliance_open"
_DIRECTORY_MODE = 0o750
_PROGRAM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_TIMEOUT_SECONDS = 60


def run(
    state_dir: StateDir = None,
    show: Annotated[bool, typer.Option("--print", help="Print the ruleset; also without any option.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Have nft look through it, and load nothing.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Load it in one step, unless it is loaded, and note its digest.")
    ] = False,
    drop_in: Annotated[
        bool, typer.Option("--drop-in", help="Print the addresses for the units of gateway and privacy test.")
    ] = False,
) -> None:
    """Make the packet filter from the settings: who may reach the box, and what it may send.

    Everything else is dropped and counted. The settings are those of the section network (docs/hardening.md).

    Example: appliance egress --check --apply
    """
    tree = state.load(state_dir)
    if drop_in:
        typer.echo(egress.drop_in(tree.traffic, tree.gateway.host), nl=False)
        return
    text = egress.ruleset(tree.traffic)
    if check:
        _nft(text, "--check", "--file", "-")
        typer.echo(f"nft takes the ruleset {egress.digest(text)}.", err=True)
    if apply:
        _apply(tree, text)
    if show or not (check or apply):
        typer.echo(text, nl=False)


def _apply(tree: Settings, text: str) -> None:
    if not tree.network.admin_subnets:
        raise SettingsInvalid(
            "The setting network.admin_subnets is empty: nobody could reach this machine by ssh, so nothing was loaded.",
            remedy="Name the subnets that the box is looked after from.",
        )
    digest = egress.digest(text)
    before = _listing()
    note = tree.upkeep_dir / PLAN_NAME
    if f'"{egress.COMMENT} {digest}"' in before and _noted(note) == (digest, before):
        typer.echo(f"The ruleset {digest} is loaded already.", err=True)
        _refuse_other_tables()
        return
    if before:
        drop_totals.keep(tree)  # the load begins the counters at 0
    _nft(text, "--file", "-")
    content = {"format": 1, "at": int(time.time()), "ok": True, "rules_sha256": digest, "listing": _listing()}
    try:
        note.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        durable.write(note, (json.dumps(content) + "\n").encode(), mode=_PLAN_MODE)
    except OSError as err:
        raise StateUnusable(f"The ruleset is loaded, but {note} cannot be written: {err.strerror}.") from None
    drop_totals.keep(tree)
    typer.echo(f"The ruleset {digest} is loaded.", err=True)
    _refuse_other_tables()


def _refuse_other_tables() -> None:
    """Tables of somebody else are left where they are: they tell who was here."""
    done = _call("--json", "list", "tables")
    try:
        others = [name for name in nft_listing.other_tables(done.stdout) if name != _OF_THE_INSTALLATION]
    except ValueError:
        raise PacketFilterFailed("nft does not say which tables are loaded.", remedy="Run it as root.") from None
    if others:
        raise PacketFilterFailed(
            f"Other tables are loaded, too, which may let out what this one drops: {', '.join(others)}.",
            remedy="`nft list ruleset` shows what they do. Take each away: "
            + ", ".join(f"`nft delete table {name}`" for name in others)
            + "; or all with `systemctl reload nftables`.",
        )


def _noted(note: Path) -> tuple[str, str] | None:
    """Digest and listing of what was loaded last; a rule added by hand shows in a listing alone."""
    try:
        content = json.loads(note.read_bytes())
        return content["rules_sha256"], content["listing"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _listing() -> str:
    """The table as the kernel has it, without counts; empty where there is none."""
    done = _call("--stateless", "list", "table", *egress.TABLE.split())
    return done.stdout if done.returncode == 0 else ""


def _nft(text: str, *arguments: str) -> None:
    done = _call(*arguments, text=text)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise PacketFilterFailed(
            f"nft does not take the ruleset: {reason}.",
            remedy="Run it as root, on a box whose accounts (appliance-engine, appliance-gateway, appliance-exporter) exist.",
        )


def _call(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("nft", path=_PROGRAM_PATH)
    if program is None:
        raise PacketFilterFailed("nft is not installed.", remedy="Install the package nftables.")
    return subprocess.run(
        [program, *arguments], input=text, capture_output=True, text=True, errors="replace",
        timeout=_TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
