"""``appliance report``: what an auditor asks for."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from appliance.cli import state, upkeep_notes
from appliance.cli.state import StateDir
from appliance.core.audit_chain import Mark, Verdict
from appliance.errors import SettingsInvalid


def report(
    state_dir: StateDir = None,
    verify_audit: Annotated[
        bool, typer.Option("--verify-audit", help="Walk along the audit's chain; exit status 1 if it is broken.")
    ] = False,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", help="A head noted elsewhere, NUMBER:HASH, that must be in the chain (repeatable)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that no record of the audit was changed, removed, inserted or moved.

    Prints the newest record's place: note it elsewhere (on paper, in a mail to
    the auditor) and pass it as --head next time. That shows what the box alone
    cannot know, such as an older copy of the whole state put back. The result is
    left in upkeep/audit.json, from which `appliance upkeep` tells Prometheus.

    Example: appliance report --verify-audit --json
    """
    if not verify_audit:
        raise typer.BadParameter("say what to report: --verify-audit")
    verdict, _ = upkeep_notes.verify_audit(state.load(state_dir), [_mark(text) for text in head or []])
    typer.echo(json.dumps(_view(verdict), ensure_ascii=False) if as_json else _text(verdict))
    if verdict.problem is not None:
        raise typer.Exit(1)


def _mark(text: str) -> Mark:
    try:
        return Mark.parse(text)
    except ValueError:
        raise SettingsInvalid("--head is not a head.", remedy="Write it as it was printed: NUMBER:HASH.") from None


def _view(verdict: Verdict) -> dict[str, object]:
    return {**asdict(verdict), "head": str(verdict.head), "ok": verdict.problem is None}


def _text(verdict: Verdict) -> str:
    lines = [
        f"records      {verdict.records}, from number {verdict.first}",
        f"requests     {verdict.requests}, of which interrupted {verdict.interrupted}; unfinished {verdict.unfinished}",
        f"head         {verdict.head}",
    ]
    if verdict.unsealed:
        lines.append(f"not sealed   {verdict.unsealed} records: the gateway is writing, or was cut off and not started")
    problem = verdict.problem
    lines.append("audit        whole" if problem is None else f"audit        BROKEN: {problem.message}")
    return "\n".join(lines)
