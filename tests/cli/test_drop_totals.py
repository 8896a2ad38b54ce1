"""Claims about ``cli.drop_totals``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.cli import drop_totals
from appliance.core.nft_listing import Dropped
from appliance.settings import Settings


def test_the_total_is_left_and_goes_on(state_dir: Path) -> None:
    tree = Settings(state_dir=state_dir)
    drop_totals.keep(tree, {"engine": Dropped(2, 120)})
    drop_totals.keep(tree, {"engine": Dropped(1, 60)})
    left = json.loads((state_dir / "upkeep" / "egress-total.json").read_text())
    assert (left["dropped"], left["begun_anew"], left["ok"]) == ({"engine": {"packets": 3, "bytes": 180}}, 1, False)


def test_a_total_that_cannot_be_read_is_kept_and_named(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = state_dir / "upkeep" / "egress-total.json"
    file.parent.mkdir()
    file.write_text("nonsense")
    assert drop_totals.keep(Settings(state_dir=state_dir), {"engine": Dropped(0, 0)}) is None
    assert file.read_text() == "nonsense"
    assert "remove it to begin a new count" in capsys.readouterr().err


def test_without_counters_nothing_is_left(state_dir: Path) -> None:
    assert drop_totals.keep(Settings(state_dir=state_dir), {}) is None
    assert not (state_dir / "upkeep").exists()
