"""The first thing to do about each XID."""

from __future__ import annotations

import pytest

from appliance.exporter import xids


@pytest.mark.parametrize(
    ("action", "numbers"),
    [
        ("restart_application", [8, 13, 31, 32, 69, 80, 94]),
        ("reset_gpu", [46, 62, 64, 95, 109, 110, 119, 120, 140, 143, 158]),
        ("reboot", [79]),
        ("record", [43, 44, 63, 92]),
        ("follow_other_xid", [45]),
        ("follow_workflow", [48, 74]),
        ("follow_recovery_action", [154]),
        ("check_hardware", [54]),
    ],
)
def test_actions_are_nvidias(action, numbers):
    assert {xids.ACTIONS[number] for number in numbers} == {action}


def test_an_xid_that_is_not_in_the_catalogue_makes_no_series_of_its_own():
    assert xids.label(999_999) == ("other", "unknown") == xids.label(1)


def test_every_label_set_there_can_be_is_listed_once():
    assert len(set(xids.LABELS)) == len(xids.LABELS) == len(xids.ACTIONS) + 1
    assert {xids.label(number) for number in range(2000)} == set(xids.LABELS)
