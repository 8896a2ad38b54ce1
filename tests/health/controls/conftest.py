"""The whole box, for every test of a control."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.health.controls import world as worlds
from tests.health.controls.world import World


@pytest.fixture
def world(state_dir: Path, tmp_path: Path) -> World:
    """A box on which every control passes."""
    return worlds.make(state_dir, tmp_path)
