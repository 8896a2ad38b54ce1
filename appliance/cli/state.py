"""The ``--state-dir`` option that commands share, and the settings it leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from appliance import settings
from appliance.settings import Settings

StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="Directory of everything the appliance keeps; overrides the settings."),
]


def load(state_dir: Path | None) -> Settings:
    """The settings with the option applied; raises SettingsInvalid."""
    return settings.load(state_dir=state_dir)
