"""The checks that golden questions may ask for."""

from __future__ import annotations

from appliance.cli import checkers


def test_each_checker_says_what_is_wrong_or_nothing():
    assert checkers.CHECKERS["contains"]("the answer is 85", "85") == ""
    assert checkers.CHECKERS["contains"]("75", "85") != ""
