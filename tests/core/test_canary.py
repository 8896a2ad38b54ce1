"""Canaries are found in every form they may take, and nowhere else."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core import canary

WORD = canary.word(canary.tag(bytes(range(canary.TAG_BYTES))), 7)


def found(data: bytes) -> bool:
    return any(form in data for form in canary.forms(WORD))


@pytest.mark.parametrize(
    "written",
    [
        WORD.encode(),
        WORD.upper().encode(),
        json.dumps({"prompt": f"학생 {WORD}"}).encode(),
        urllib.parse.quote(f"학생 {WORD}").encode(),
        f"학생 {WORD}".encode("utf-16"),
        WORD.encode().hex().encode(),
        *(base64.b64encode(b"x" * shift + WORD.encode() + b"tail") for shift in range(6)),
    ],
)
def test_canary_is_found_in_every_form(written: bytes) -> None:
    assert found(written)


@given(st.binary(max_size=500))
def test_other_bytes_are_no_canary(data: bytes) -> None:
    assert not found(data)


def test_tag_of_a_run_is_found_in_each_of_its_words() -> None:
    tag = canary.tag(bytes(canary.TAG_BYTES))
    for form, tagged in zip(canary.forms(canary.word(tag, 1)), canary.forms(tag), strict=True):
        assert tagged in form


def test_every_planting_carries_the_canary_and_a_name_of_its_own() -> None:
    plantings = list(canary.plantings(WORD, "model"))
    assert len({planting.where for planting in plantings}) == len(plantings) > 30
    for planting in plantings:
        carried = planting.body + planting.path.encode() + json.dumps(planting.headers).encode()
        assert WORD.encode() in carried, planting.where
