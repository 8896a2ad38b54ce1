"""Claims about ``health.controls.units``."""

from __future__ import annotations

import pytest

from appliance.core.evidence import Outcome
from appliance.health.controls import units
from appliance.health.host import Answer
from tests.health.controls import world as worlds
from tests.health.controls.world import World

GATEWAY = "appliance-gateway.service"


@pytest.mark.parametrize("name", list(units._EVERYWHERE))
def test_each_directive_counts(world: World, name: str) -> None:
    world.answers[f"systemctl show {GATEWAY}"] = worlds.unit(GATEWAY, **{name: "no"})
    assert units.sandbox(world.host()).reason.english == f"{GATEWAY}: {name}=no"


@pytest.mark.parametrize("user", ["", "root", "0", "appliance-engine"])
def test_root_and_a_shared_user_fail(world: World, user: str) -> None:
    world.answers[f"systemctl show {GATEWAY}"] = worlds.unit(GATEWAY, User=user)
    assert units.users(world.host()).outcome is Outcome.FAIL


def test_a_unit_that_is_not_there_fails(world: World) -> None:
    world.answers[f"systemctl show {GATEWAY}"] = Answer("LoadState=not-found\n")
    assert units.sandbox(world.host()).reason.english == f"{GATEWAY} is not-found"


def test_where_systemd_did_not_boot_there_are_no_units(world: World) -> None:
    (world.root / "run/systemd/system/x").unlink()
    (world.root / "run/systemd/system").rmdir()
    assert units.sandbox(world.host()).outcome is Outcome.NOT_APPLICABLE
