"""``appliance upkeep``: what must be kept up on the box, for a person and for Prometheus."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text as Cell

from appliance import durable
from appliance.cli import drop_totals, state, upkeep_notes
from appliance.cli.state import StateDir
from appliance.core import upkeep as core
from appliance.core.egress import ruleset
from appliance.core.upkeep import Finding, Outcome, State, Text
from appliance.errors import StateUnusable
from appliance.health import audit, backup, certificate, clock, egress, privacy_test
from appliance.settings import Settings

#: node exporter runs as a user of its own.
TEXTFILE_MODE = 0o644
_STATES: dict[State, tuple[Text, str]] = {
    "good": (Text("ok", "정상"), "green"),
    "warning": (Text("warning", "주의"), "yellow"),
    "bad": (Text("BAD", "이상"), "bold red"),
    "unknown": (Text("UNKNOWN", "확인 불가"), "bold magenta"),
    "off": (Text("none", "없음"), "dim"),
}
# Where nobody's terminal sets a width (a pipe, a log), lines are not broken.
_PIPE_WIDTH = 200


def upkeep(
    state_dir: StateDir = None,
    textfile: Annotated[
        Path | None,
        typer.Option("--textfile", help="Write the Prometheus text here, for node exporter's textfile collector."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at the audit, the backup, the certificates, the clock, the egress filter and the last privacy test.

    The audit is verified if that was not done for upkeep.audit_interval_seconds;
    the others are read. Exit status 0 whatever is found: the table and the
    metrics say it. docs/upkeep.md says what each line means and what to do.

    Example: appliance upkeep --textfile /var/lib/prometheus/node-exporter/appliance.prom
    """
    outcomes = look(state.load(state_dir))
    at = int(time.time())
    if textfile is not None:
        _write(textfile, core.exposition(outcomes, at))
    if as_json:
        typer.echo(json.dumps(_view(outcomes, at), ensure_ascii=False))
    else:
        console = Console()
        (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(_table(outcomes))


def look(settings: Settings) -> list[Outcome]:
    """Every check once, in the order of the table."""
    now = time.time()
    notes = settings.upkeep_dir
    drop_totals.keep(settings)
    certificates = {"server": settings.gateway.tls_certificate_path, "ca": settings.upkeep.ca_certificate_path}
    return [
        audit.look(
            notes / upkeep_notes.AUDIT,
            now,
            settings.upkeep.audit_interval_seconds,
            lambda: upkeep_notes.verify_audit(settings, [])[1],
        ),
        backup.look(
            notes / upkeep_notes.BACKUP,
            now,
            configured=None not in (settings.backup.directory, settings.backup.recipient),
        ),
        certificate.look(certificates, now),
        clock.look(settings.upkeep.clock_log_path, now),
        egress.look(ruleset(settings.traffic)),
        privacy_test.look(notes / upkeep_notes.PRIVACY_TEST, now),
    ]


def _write(path: Path, content: bytes) -> None:
    try:
        durable.write(path, content, mode=TEXTFILE_MODE)
    except OSError as err:
        raise StateUnusable(
            f"The file {path} cannot be written: {err.strerror}.",
            remedy="Name a file in a directory that is there and that this user may write with --textfile.",
        ) from None


def _view(outcomes: list[Outcome], at: int) -> dict[str, object]:
    return {
        "at": at,
        "checks": [
            {
                "check": outcome.check,
                "looked": outcome.looked,
                "findings": [_finding(finding) for finding in outcome.findings],
                "metrics": [
                    {
                        "name": sample.name,
                        "labels": dict(zip(core.BY_NAME[sample.name].labels, sample.labels, strict=True)),
                        "value": float(sample.value),
                    }
                    for sample in outcome.samples
                ],
            }
            for outcome in outcomes
        ],
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "state": finding.state,
        "subject": finding.subject._asdict(),
        "text": finding.text._asdict(),
        "remedy": finding.remedy._asdict() if finding.remedy else None,
    }


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("상태 state", no_wrap=True)
    table.add_column("항목 check", no_wrap=True)
    table.add_column("내용 what")
    for outcome in outcomes:
        for finding in outcome.findings:
            name, style = _STATES[finding.state]
            # Cells and not strings: brackets in a path are no markup.
            table.add_row(
                Cell(_beside(name), style=style), Cell(_beside(finding.subject)), Cell(_beside(finding.text, " / "))
            )
            if finding.remedy:
                table.add_row("", "", Cell("→ " + _beside(finding.remedy, " / ")))
    return table


def _beside(text: Text, between: str = " ") -> str:
    return f"{text.korean}{between}{text.english}"
