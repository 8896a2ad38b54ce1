"""What a run leaves for the next is read again, and nothing else is."""

from __future__ import annotations

import json

import pytest

from appliance.core.audit_chain import Mark, Problem, Verdict
from appliance.core.upkeep_note import Note, decode, encode, is_due, of_audit

DAY = 86_400.0


def test_note_is_read_as_it_was_written() -> None:
    note = Note(1_795_400_000, ok=True, facts={"records": 9, "head": "9:ab"})
    assert decode(encode(note)) == note
    assert json.loads(encode(note)) == {"format": 1, "at": 1_795_400_000, "ok": True, "records": 9, "head": "9:ab"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"7",
        b'{"at": 5, "ok": true}',
        b'{"format": 2, "at": 5, "ok": true}',
        b'{"format": 1, "ok": true}',
        b'{"format": 1, "at": "5", "ok": true}',
        b'{"format": 1, "at": true, "ok": true}',
        b'{"format": 1, "at": NaN, "ok": true}',
        b'{"format": 1, "at": 1e999, "ok": true}',
        b'{"format": 1, "at": 5, "ok": 1}',
        b'{"format": 1, "at": 5}',
    ],
)
def test_anything_else_is_no_note(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it "):
        decode(content)


@pytest.mark.parametrize(
    ("value", "number"),
    [(0, 0.0), (2.5, 2.5), (-1, None), ("9", None), (True, None), (None, None), (float("nan"), None)],
)
def test_fact_is_a_number_only_where_it_is_one(value: object, number: float | None) -> None:
    assert Note(5, ok=True, facts={"records": value}).number("records") == number
    assert Note(5, ok=True).number("records") is None


def test_verification_leaves_what_it_found() -> None:
    head = Mark(9, bytes(range(32)))
    whole = of_audit(Verdict(9, 1, head), 5)
    assert (whole.ok, whole.facts) == (True, {"records": 9, "head": str(head)})
    broken = of_audit(Verdict(3, 1, head, problem=Problem(4, "record 4 is missing.")), 5)
    assert (broken.ok, broken.facts["problem"]) == (False, "record 4 is missing.")


@pytest.mark.parametrize(
    ("age_seconds", "due"), [(0.0, False), (DAY - 1, False), (DAY, True), (9 * DAY, True), (-1.0, True)]
)
def test_result_is_renewed_when_it_is_old_or_from_a_clock_that_was_ahead(age_seconds: float, due: bool) -> None:
    now = 1_795_400_000.0
    assert is_due(Note(now - age_seconds, ok=True), now, DAY) == due
    assert is_due(None, now, DAY)
