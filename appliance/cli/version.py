"""``appliance version``."""

from __future__ import annotations

import typer

import appliance


def show() -> None:
    """Print the version of this appliance.

    Example: appliance version
    """
    typer.echo(appliance.__version__)
