"""Claims about ``health.drop_total``."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.core import drop_total as core
from appliance.core import upkeep_note
from appliance.core.nft_listing import Dropped
from appliance.health import drop_total
from appliance.health.upkeep_note import NoteUnreadable


def test_without_a_total_the_counters_are_one_and_nothing_is_written(tmp_path: Path) -> None:
    assert drop_total.now(tmp_path, {"engine": Dropped(2, 120)}, 10.0, 5.0).dropped == {"engine": Dropped(2, 120)}
    assert list(tmp_path.iterdir()) == []


def test_a_total_goes_on_over_a_load_of_the_rules(tmp_path: Path) -> None:
    before = core.add(None, {"engine": Dropped(2, 120)}, 10.0, 5.0)
    (tmp_path / core.FILE_NAME).write_bytes(upkeep_note.encode(core.to_note(before)))
    assert drop_total.now(tmp_path, {"engine": Dropped(0, 0)}, 20.0, 15.0).dropped == {"engine": Dropped(2, 120)}


@pytest.mark.parametrize("content", ["nonsense", '{"format": 1, "at": 1, "ok": true}'])
def test_a_total_that_cannot_be_read_is_not_begun_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / core.FILE_NAME).write_text(content)
    with pytest.raises(NoteUnreadable, match=r"egress-total\.json cannot be read"):
        drop_total.now(tmp_path, {"engine": Dropped(0, 0)}, 20.0, 15.0)
