"""``appliance exporter`` reads the settings and becomes the exporter's own process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from appliance import settings as tree
from appliance.cli import exporter
from appliance.exporter.__main__ import _options


@pytest.fixture
def become(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command; gives the command line it becomes."""
    monkeypatch.setattr(tree, "SYSTEM_FILE", tmp_path / "absent.toml")
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _file, line: became.append(line))
    app = typer.Typer()
    app.command()(exporter.run)

    def run(*arguments: str) -> list[str]:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        return became[-1]

    return run


def test_settings_reach_it_as_arguments_that_it_understands(become, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_EXPORTER__HOST", "::1")
    monkeypatch.setenv("APPLIANCE_EXPORTER__PORT", "9999")
    monkeypatch.setenv("APPLIANCE_LOG__FORMAT", "json")
    monkeypatch.setenv("APPLIANCE_LOG__LEVEL", "debug")
    line = become("--dcgm-names")
    assert line[0] == sys.executable
    options = _options(line[line.index("appliance.exporter") + 1 :])
    assert (options.host, options.port, options.log_format, options.log_level) == ("::1", 9999, "json", "debug")
    assert options.dcgm_names


def test_defaults_are_loopback_the_usual_port_and_our_names_only(become) -> None:
    line = become()
    options = _options(line[line.index("appliance.exporter") + 1 :])
    assert (options.host, options.port, options.dcgm_names) == ("127.0.0.1", 9400, False)
