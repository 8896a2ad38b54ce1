"""The option that says where everything is kept wins over file and environment."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from appliance import settings
from appliance.cli import state
from appliance.cli.state import StateDir
from appliance.errors import SettingsInvalid


@pytest.fixture(autouse=True)
def _no_system_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SYSTEM_FILE", tmp_path / "absent.toml")


def test_option_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_STATE_DIR", str(tmp_path / "environment"))
    assert state.load(None).state_dir == tmp_path / "environment"
    assert state.load(tmp_path / "option").state_dir == tmp_path / "option"


def test_relative_option_means_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tree = state.load(Path("here"))
    assert tree.state_dir == tmp_path / "here"
    assert tree.socket_path.is_relative_to(tmp_path / "here")


def test_option_reaches_a_command_under_its_name(tmp_path: Path) -> None:
    app = typer.Typer()

    @app.command()
    def show(state_dir: StateDir = None) -> None:
        typer.echo(state.load(state_dir).state_dir)

    assert CliRunner().invoke(app, ["--state-dir", str(tmp_path)]).output == f"{tmp_path}\n"


def test_path_too_long_for_a_socket_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="socket path is longer"):
        state.load(tmp_path / ("x" * 120))
