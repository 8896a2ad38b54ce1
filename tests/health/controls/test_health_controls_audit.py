"""Claims about ``health.controls.audit``."""

from __future__ import annotations

from appliance.core.evidence import Outcome
from appliance.health.controls import audit
from tests.health.controls.world import World


def test_an_audit_that_cannot_be_read_is_unknown(world: World) -> None:
    for path in world.state.glob("records.*"):
        path.unlink()
    assert audit.intact(world.host()).outcome is Outcome.UNKNOWN


def test_an_audit_that_is_gone_beside_its_seal_fails(world: World) -> None:
    (world.state / "records.sqlite3").unlink()
    assert audit.intact(world.host()).outcome is Outcome.FAIL


def test_two_years_are_said(world: World) -> None:
    world.set("audit", retention_days=730)
    assert audit.retention(world.host()).reason.english == "730 days (two years)"
    assert audit.required(world.host()).outcome is Outcome.PASS
