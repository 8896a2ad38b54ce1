"""Claims about ``core.controls``."""

from __future__ import annotations

import re

from appliance.core.controls import CONTROLS
from appliance.core.standards import STANDARDS


def test_keys_are_fixed_words_and_each_is_there_once() -> None:
    keys = [control.key for control in CONTROLS]
    assert len(keys) == len(set(keys)) == 40
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", key) for key in keys)


def test_each_control_says_in_both_languages_what_holds_and_names_its_proof() -> None:
    for control in CONTROLS:
        assert re.search("[가-힣]", control.title.korean), control.key
        assert control.title.english.isascii(), control.key
        assert control.proof, control.key


def test_each_control_is_evidence_for_something_that_is_listed() -> None:
    for control in CONTROLS:
        assert control.pipa or control.ismsp or control.iso, control.key
        for standard, items in STANDARDS.items():
            assert set(control.speaks_to(standard)) <= set(items), control.key


def test_items_stand_in_the_order_of_their_standard() -> None:
    def numbers(item: str) -> list[int]:
        return [int(part) for part in item.split(".")]

    for control in CONTROLS:
        assert list(control.ismsp) == sorted(control.ismsp, key=numbers), control.key
        assert list(control.iso) == sorted(control.iso, key=numbers), control.key


def test_what_no_control_speaks_to_is_known() -> None:
    """These are matters of people and paper; docs/evidence.md says so."""
    spoken = {item for control in CONTROLS for item in (*control.pipa, *control.ismsp, *control.iso)}
    assert {item for items in STANDARDS.values() for item in items} - spoken == {"2.10.7", "2.11.4", "8.14"}
