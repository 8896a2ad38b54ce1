"""Claims about ``health.controls.from_upkeep``, ``backup`` and ``privacy_test``."""

from __future__ import annotations

import pytest

from appliance.core.evidence import Outcome
from appliance.core.upkeep import Finding, Text
from appliance.core.upkeep import Outcome as Found
from appliance.health.controls import backup, from_upkeep, privacy_test
from tests.health.controls import world as worlds
from tests.health.controls.world import World

SUBJECT = Text("x", "x")


def test_the_worst_finding_counts() -> None:
    states = ("good", "unknown", "warning")
    found = Found("audit", tuple(Finding(SUBJECT, state, Text(state, state)) for state in states))
    assert from_upkeep.result(found, off_is_unknown=True).reason.english == "warning"
    found = Found("audit", tuple(Finding(SUBJECT, state, Text(state, state)) for state in ("good", "off")))
    assert from_upkeep.result(found, off_is_unknown=True).outcome is Outcome.UNKNOWN
    assert from_upkeep.result(found, off_is_unknown=False).outcome is Outcome.FAIL


def test_a_backup_that_was_never_made_or_failed_fails(world: World) -> None:
    (world.state / "upkeep" / "backup.json").unlink()
    assert backup.fresh(world.host()).outcome is Outcome.FAIL
    worlds.note(world, "backup.json", ok=False, reason="disk")
    assert backup.fresh(world.host()).outcome is Outcome.FAIL
    (world.state / "upkeep" / "backup.json").write_text("nonsense")
    assert backup.fresh(world.host()).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("hours", "outcome"), [(1, Outcome.PASS), (40, Outcome.FAIL)])
def test_an_old_privacy_test_is_no_proof_of_today(world: World, hours: int, outcome: Outcome) -> None:
    worlds.note(world, "privacy-test.json", at=worlds.NOW - hours * 3600)
    assert privacy_test.last(world.host()).outcome is outcome


def test_a_privacy_test_that_never_ran_says_nothing(world: World) -> None:
    (world.state / "upkeep" / "privacy-test.json").unlink()
    assert privacy_test.last(world.host()).outcome is Outcome.UNKNOWN
