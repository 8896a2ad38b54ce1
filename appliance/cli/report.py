"""``appliance report``: what an auditor asks for."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from appliance import logs
from appliance.cli import evidence, machine_key, state, upkeep_notes
from appliance.cli.state import StateDir
from appliance.core import controls_page, egress_statement
from appliance.core import evidence as core_evidence
from appliance.core.audit_chain import Mark, Verdict
from appliance.core.controls import CONTROLS
from appliance.core.evidence import Outcome
from appliance.errors import SettingsInvalid
from appliance.settings import Settings


def report(
    state_dir: StateDir = None,
    verify_audit: Annotated[
        bool, typer.Option("--verify-audit", help="Walk along the audit's chain; exit status 1 if it is broken.")
    ] = False,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", help="A head noted elsewhere, NUMBER:HASH, that must be in the chain (repeatable)."),
    ] = None,
    evidence_wanted: Annotated[
        bool,
        typer.Option("--evidence", help="Check every control now and write the report; exit status 1 if one fails."),
    ] = False,
    egress: Annotated[
        bool,
        typer.Option("--egress", help="Write today's signed statement on egress; exit status 1 if it does not hold."),
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", help="Print the controls as Markdown; nothing is looked at.")
    ] = False,
    verify_statement: Annotated[
        Path | None, typer.Option("--verify-statement", help="Check the signature of a statement or evidence report.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option("--machine-key", help="The box's public key, PEM; by default this box's own.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Directory for --evidence (needed) and --egress (by default the state's)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What an auditor asks for. Say which: --verify-audit, --evidence, --egress, --list or --verify-statement FILE.

    --verify-audit checks that no record of the audit was changed, removed,
    inserted or moved. It prints the newest record's place: note it elsewhere
    (on paper, in a mail to the auditor) and pass it as --head next time. That
    shows what the box alone cannot know, such as an older copy of the whole
    state put back. The result is left in upkeep/audit.json, from which
    `appliance upkeep` tells Prometheus.

    --evidence looks at every control of docs/evidence.md and writes evidence.json,
    evidence.html (Korean and English) and a signature; --egress writes the day's
    statement that nothing left. Run both as root: only root may look at all of it.

    Example: appliance report --evidence --out ./evidence
    """
    if sum((verify_audit, evidence_wanted, egress, listing, verify_statement is not None)) != 1:
        raise typer.BadParameter("say one: --verify-audit, --evidence, --egress, --list or --verify-statement FILE")
    if listing:
        typer.echo(controls_page.render(), nl=False)
        return
    tree = state.load(state_dir)
    if verify_audit:
        good = _audit(tree, head or [], as_json=as_json)
    elif evidence_wanted:
        good = _evidence(tree, out, as_json=as_json)
    elif verify_statement is not None:
        good = _statement(verify_statement, public_key or machine_key.public_path(tree), as_json=as_json)
    else:
        good = _egress(tree, out, as_json=as_json)
    if not good:
        raise typer.Exit(1)


def _audit(tree: Settings, heads: list[str], *, as_json: bool) -> bool:
    verdict, _ = upkeep_notes.verify_audit(tree, [_mark(text) for text in heads])
    typer.echo(json.dumps(_view(verdict), ensure_ascii=False) if as_json else _text(verdict))
    return verdict.problem is None


def _evidence(tree: Settings, out: Path | None, *, as_json: bool) -> bool:
    if out is None:
        raise typer.BadParameter("--evidence needs --out DIRECTORY")
    logs.configure(tree.log)  # the layers that are asked write a log
    found = evidence.report(tree, out)
    if as_json:
        typer.echo(json.dumps(core_evidence.document(found), ensure_ascii=False))
    else:
        for control in CONTROLS:
            result = found.results[control.key]
            typer.echo(f"{result.outcome.value:<15} {control.key:<26} {result.reason.english}")
        counts = ", ".join(f"{found.count(outcome)} {outcome.value}" for outcome in Outcome)
        typer.echo(f"\n{counts}\nwritten to {out}: {evidence.JSON_NAME}, its .sig, {evidence.PAGE_NAME}")
    return found.count(Outcome.FAIL) == 0


def _egress(tree: Settings, out: Path | None, *, as_json: bool) -> bool:
    statement, file = evidence.state_egress(tree, out)
    if as_json:
        typer.echo(egress_statement.render(statement).decode(), nl=False)
    else:
        said = egress_statement.text(statement)
        typer.echo(f"{said.english}\n{said.korean}\nwritten to {file}, signed in {file.name}.sig")
    return statement.holds


def _statement(file: Path, public: Path, *, as_json: bool) -> bool:
    values = evidence.verify(file, public)
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False))
    else:
        typer.echo(f"signature    right, of {public} ({machine_key.fingerprint(public)})")
        if "statement" in values:
            typer.echo(f"{values['statement']['english']}\n{values['statement']['korean']}")
    return True


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
