"""What the driver wants done."""

from __future__ import annotations

import pytest

from appliance.exporter.recovery import ACTIONS, Recovery
from tests.exporter.conftest import values
from tests.fakes import nvml


@pytest.mark.parametrize(("number", "action"), [(0, "none"), (1, "reset_gpu"), (2, "reboot"), (4, "drain_and_reset")])
def test_one_action_is_set(rig, number, action):
    card = nvml.recorded()
    card["fields"]["230"]["ull"] = number
    found = values(Recovery().collect(rig(card).gpu()))
    assert [name[2] for name, value in found.items() if value] == [action]
    assert len(found) == len(ACTIONS)


def test_an_action_of_a_later_driver_sets_none_of_ours(rig):
    card = nvml.recorded()
    card["fields"]["230"]["ull"] = 99
    assert sum(values(Recovery().collect(rig(card).gpu())).values()) == 0
