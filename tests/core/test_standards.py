"""Claims about ``core.standards``."""

from __future__ import annotations

import re

from appliance.core.standards import ISMSP, ISO, PIPA, STANDARDS


def test_items_are_numbered_and_titled_as_the_standards_do() -> None:
    assert all(re.fullmatch(r"2\.\d+\.\d+", item) for item in ISMSP)
    assert all(re.fullmatch(r"[5-8]\.\d+", item) for item in ISO)
    assert (len(PIPA), len(ISMSP), len(ISO)) == (6, 32, 28)


def test_korean_standards_have_korean_titles_and_english_beside() -> None:
    for items in (PIPA, ISMSP):
        for item, title in items.items():
            assert re.search("[가-힣]", title.korean), item
            assert title.english.isascii(), item


def test_items_stand_in_order() -> None:
    for items in (STANDARDS["ISMS-P"], STANDARDS["ISO/IEC 27001:2022"]):
        numbers = [[int(part) for part in item.split(".")] for item in items]
        assert numbers == sorted(numbers)
