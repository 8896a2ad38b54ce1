"""Claims about ``health.controls.machine``."""

from __future__ import annotations

import pytest

from appliance.core.evidence import Outcome
from appliance.health.controls import machine
from appliance.health.host import Answer
from tests.health.controls import world as worlds
from tests.health.controls.world import World


@pytest.mark.parametrize(
    ("pattern", "outcome"),
    [
        ("|/bin/false", Outcome.PASS),
        ("|/usr/share/apport/apport %p", Outcome.FAIL),
        ("|/usr/lib/systemd/systemd-coredump %P", Outcome.FAIL),
        ("|", Outcome.FAIL),
        ("/var/crash/%p", Outcome.PASS),
    ],
)
def test_a_handler_is_given_the_memory_whatever_the_limits_say(world: World, pattern: str, outcome: Outcome) -> None:
    (world.root / "proc/sys/kernel/core_pattern").write_text(pattern)
    assert machine.core_dumps(world.host()).outcome is outcome


def test_systemd_coredump_may_be_told_to_keep_none(world: World) -> None:
    (world.root / "proc/sys/kernel/core_pattern").write_text("|/usr/lib/systemd/systemd-coredump %P")
    folder = world.root / "etc/systemd/coredump.conf.d"
    folder.mkdir(parents=True)
    (folder / "50-appliance.conf").write_text("[Coredump]\nStorage=none\n")
    assert machine.core_dumps(world.host()).outcome is Outcome.PASS
    (folder / "90-later.conf").write_text("[Coredump]\nStorage=external\n")
    assert machine.core_dumps(world.host()).outcome is Outcome.FAIL


def test_a_clock_of_which_nobody_knows_is_unknown(world: World) -> None:
    world.answers[worlds.CLOCK] = Answer(problem="timedatectl is not installed")
    assert machine.clock(world.host()).outcome is Outcome.UNKNOWN
    world.answers[worlds.CLOCK] = Answer("\n")
    assert machine.clock(world.host()).outcome is Outcome.UNKNOWN
