"""Claims about ``health.controls.files``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.core.evidence import Outcome
from appliance.health.controls import files
from tests.health.controls.world import World


def _backup(world: World) -> Path:
    path = world.root / "backups" / "appliance-20261123T040728Z.age"
    path.parent.mkdir()
    path.touch()
    return path


@pytest.mark.parametrize(
    ("which", "mode"),
    [
        (lambda w: w.state / "records.key", 0o640),
        (lambda w: w.root / "tls.key", 0o644),
        (lambda w: w.state, 0o777),
        (lambda w: w.model / "model.safetensors", 0o664),
        (lambda w: w.model, 0o775),
        (lambda w: w.state / "trust" / "example.toml", 0o666),
        (_backup, 0o640),
    ],
)
def test_what_is_open_to_others_is_named(world: World, which: Callable[[World], Path], mode: int) -> None:
    path = which(world)
    path.chmod(mode)
    result = files.modes(world.host())
    assert result.outcome is Outcome.FAIL
    assert result.reason.english == f"{path} has mode {mode:04o}"


def test_the_settings_may_hold_no_surprise_for_others(world: World) -> None:
    settings = world.root / "appliance.toml"
    settings.touch()
    settings.chmod(0o644)
    assert "appliance.toml has mode 0644" in files.modes(replace(world.host(), settings_file=settings)).reason.english
    settings.chmod(0o640)
    assert files.modes(replace(world.host(), settings_file=settings)).outcome is Outcome.PASS
