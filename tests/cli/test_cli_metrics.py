"""``appliance metrics`` lists what the gateway exposes."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from appliance.cli import metrics
from appliance.gateway.families import FAMILIES


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(metrics.show)
    return app


def test_every_family_is_a_line_with_its_labels(app: typer.Typer) -> None:
    lines = CliRunner().invoke(app).output.splitlines()
    assert len(lines) == len(FAMILIES)
    assert lines[0].startswith("appliance_requests_total{route,code,app} counter: ")


def test_json_holds_the_same(app: typer.Typer) -> None:
    shown = json.loads(CliRunner().invoke(app, ["--json"]).output)
    assert [family["name"] for family in shown] == [family.name for family in FAMILIES]


def test_page_is_a_table_of_all(app: typer.Typer) -> None:
    page = CliRunner().invoke(app, ["--markdown"]).output
    assert len([line for line in page.splitlines() if line.startswith(("| `appliance_", "| `process_"))]) == len(
        FAMILIES
    )


def test_help_has_an_example(app: typer.Typer) -> None:
    assert "Example: appliance metrics" in CliRunner().invoke(app, ["--help"]).output
