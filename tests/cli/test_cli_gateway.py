"""``appliance gateway`` serves with the settings it was given."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from appliance import settings as tree
from appliance.cli import gateway
from appliance.errors import PortTaken
from appliance.settings import Settings


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(tree, "SYSTEM_FILE", tmp_path / "absent.toml")
    monkeypatch.setattr("appliance.logs.configure", lambda _settings: None)
    app = typer.Typer()
    app.command()(gateway.run)
    return app


def test_gateway_serves_the_state_directory_and_port_it_was_told(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("appliance.gateway.server.serve", served.append)
    monkeypatch.setenv("APPLIANCE_GATEWAY__PORT", "9002")
    assert CliRunner().invoke(app, ["--state-dir", str(tmp_path)]).exit_code == 0
    (settings,) = served
    assert settings.state_dir == tmp_path
    assert settings.gateway.port == 9002


def test_failure_to_listen_reaches_the_one_place_that_words_it(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(_settings: Settings) -> None:
        raise PortTaken

    monkeypatch.setattr("appliance.gateway.server.serve", taken)
    assert isinstance(CliRunner().invoke(app).exception, PortTaken)


def test_help_has_an_example(app: typer.Typer) -> None:
    assert "Example: appliance gateway" in CliRunner().invoke(app, ["--help"]).output
