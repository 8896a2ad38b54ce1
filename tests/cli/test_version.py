"""``appliance version``."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

import appliance
from appliance.cli import version


def test_version_is_the_packages_and_nothing_else() -> None:
    app = typer.Typer()
    app.command()(version.show)
    assert CliRunner().invoke(app).output == f"{appliance.__version__}\n"
