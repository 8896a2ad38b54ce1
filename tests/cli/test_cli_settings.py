"""``appliance settings`` shows what is in force and renders the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from appliance import settings as tree
from appliance.cli import settings


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(tree, "SYSTEM_FILE", tmp_path / "absent.toml")
    app = typer.Typer()
    app.command()(settings.show)
    return app


def test_value_in_force_is_shown_for_every_setting(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__PORT", "9002")
    lines = CliRunner().invoke(app).output.splitlines()
    assert "gateway.port = 9002" in lines
    assert [line.split(" = ")[0] for line in lines] == [setting.name for setting in tree.describe()]


def test_json_holds_the_same_with_types(app: typer.Typer) -> None:
    shown = json.loads(CliRunner().invoke(app, ["--json"]).output)
    assert shown["gateway.port"] == 8080
    assert shown["gateway.allowed_hosts"] == ["*"]
    assert shown["engine.socket_path"] is None


def test_page_has_a_row_for_every_setting(app: typer.Typer) -> None:
    page = CliRunner().invoke(app, ["--markdown"]).output
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(list(tree.describe()))
    assert {row.count(" | ") for row in rows} == {4}
