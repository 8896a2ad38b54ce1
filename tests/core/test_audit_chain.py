"""A chain that was touched says so, and where."""

from __future__ import annotations

import pytest

from appliance.core import audit_chain, privacy
from appliance.core.audit_chain import GENESIS, Mark, Record, Verdict, Walk, encode, link, seal, unseal

KEY = b"k" * 32
Rows = list[tuple[int, bytes, bytes]]


def chain(count: int, previous: bytes = GENESIS, start: int = 1) -> Rows:
    rows: Rows = []
    for number in range(start, start + count):
        body = encode(Record("whole", 1_700_000_000_000 + number, f"req-{number}", app="homework"))
        previous = link(previous, number, body)
        rows.append((number, body, previous))
    return rows


def head_of(rows: Rows) -> Mark:
    return Mark(rows[-1][0], rows[-1][2])


def walk(rows: Rows, sealed: Mark | None, anchor: Mark | None = None) -> Verdict:
    walking = Walk(anchor, [sealed] if sealed else [])
    for row in rows:
        if walking.take(*row) is None:
            break
    return walking.end(sealed)


def broken_at(verdict: Verdict) -> int:
    assert verdict.problem is not None
    return verdict.problem.sequence


def test_untouched_chain_is_whole() -> None:
    rows = chain(20)
    verdict = walk(rows, head_of(rows))
    assert verdict.problem is None
    assert (verdict.records, verdict.first, verdict.requests, verdict.head) == (20, 1, 20, head_of(rows))


def test_empty_chain_without_a_head_is_whole() -> None:
    assert walk([], None).problem is None


@pytest.mark.parametrize("number", [1, 7, 20])
def test_flipped_bit_is_found_at_its_record(number: int) -> None:
    rows = chain(20)
    head = head_of(rows)
    sequence, body, digest = rows[number - 1]
    for place in (0, len(body) // 2, len(body) - 1):
        touched = bytearray(body)
        touched[place] ^= 1
        assert (
            broken_at(walk([*rows[: number - 1], (sequence, bytes(touched), digest), *rows[number:]], head)) == number
        )


def test_changed_record_with_its_own_hash_made_anew_is_found_at_the_next() -> None:
    rows = chain(20)
    head = head_of(rows)
    body = encode(Record("whole", 1, "req-x", app="somebody-else"))
    rows[6] = (7, body, link(rows[5][2], 7, body))
    assert broken_at(walk(rows, head)) == 8


@pytest.mark.parametrize("number", [1, 7])
def test_removed_record_is_named_as_missing(number: int) -> None:
    rows = chain(20)
    head = head_of(rows)
    del rows[number - 1]
    verdict = walk(rows, head)
    assert broken_at(verdict) == number
    assert verdict.problem is not None
    assert f"record {number} is missing" in verdict.problem.message


def test_swapped_records_are_found_at_the_first_of_them() -> None:
    rows = chain(20)
    head = head_of(rows)
    rows[6], rows[9] = (7, *rows[9][1:]), (10, *rows[6][1:])
    assert broken_at(walk(rows, head)) == 7


def test_inserted_record_is_found_where_it_stands() -> None:
    rows = chain(20)
    head = head_of(rows)
    body = encode(Record("whole", 1, "req-made-up"))
    later = [(number + 1, text, digest) for number, text, digest in rows[6:]]
    assert broken_at(walk([*rows[:6], (7, body, link(rows[5][2], 7, body)), *later], head)) == 8


@pytest.mark.parametrize("left", [0, 1, 19])
def test_cut_off_end_is_found_by_the_head(left: int) -> None:
    rows = chain(20)
    verdict = walk(rows[:left], head_of(rows))
    assert broken_at(verdict) == left + 1
    assert verdict.problem is not None
    assert "cut off at its end" in verdict.problem.message


def test_chain_computed_anew_without_the_key_is_found_by_the_head() -> None:
    rows = chain(20)
    head = head_of(rows)
    assert broken_at(walk([*rows[:5], *chain(15, GENESIS, 6)], head)) == 6
    body = encode(Record("whole", 1, "req-x"))
    anew = link(rows[4][2], 6, body)
    assert broken_at(walk([*rows[:5], (6, body, anew), *chain(14, anew, 7)], head)) == 20


def test_records_behind_the_sealed_head_are_counted() -> None:
    rows = chain(20)
    verdict = walk(rows, head_of(rows[:17]))
    assert (verdict.problem, verdict.unsealed) == (None, 3)


def test_missing_head_is_a_problem() -> None:
    assert walk(chain(3), None).problem is not None


def test_pruned_chain_is_whole_when_the_chain_itself_says_so() -> None:
    rows = chain(20)
    gone = rows[9]
    body = encode(Record("event", 1, gone[2].hex(), route=audit_chain.PRUNED, times=10))
    rows.append((21, body, link(rows[-1][2], 21, body)))
    assert walk(rows[10:], head_of(rows), Mark(10, gone[2])).problem is None


def test_made_up_anchor_is_found() -> None:
    rows = chain(20)
    assert broken_at(walk(rows[10:], head_of(rows), Mark(10, rows[9][2]))) == 11


def test_head_is_read_only_with_the_key_that_sealed_it() -> None:
    mark = Mark(42, b"\x07" * 32)
    content = seal(mark, KEY)
    assert unseal(content, KEY) == mark
    assert unseal(content, b"other") is None
    assert unseal(content.replace(b"42:", b"41:"), KEY) is None
    for torn in (b"", content[:50], b"\xff" * 100):
        assert unseal(torn, KEY) is None


def test_mark_survives_being_written_down() -> None:
    mark = Mark(42, b"\x07" * 32)
    assert Mark.parse(str(mark)) == mark
    with pytest.raises(ValueError, match="12:ab"):
        Mark.parse("12:ab")


def test_requests_are_counted_open_closed_and_interrupted() -> None:
    previous, walking = GENESIS, Walk()
    records = [
        Record("open", 1, "a"),
        Record("open", 1, "b"),
        Record("open", 1, "c"),
        Record("close", 2, "b", outcome="answered"),
        Record("close", 3, "a", outcome="interrupted"),
        Record("whole", 3, "d", outcome="refused", times=5),
    ]
    for number, record in enumerate(records, 1):
        previous = link(previous, number, encode(record))
        assert walking.take(number, encode(record), previous) == record
    verdict = walking.end(Mark(6, previous))
    assert (verdict.requests, verdict.interrupted, verdict.unfinished) == (7, 1, 1)


def test_record_has_no_field_that_is_not_on_the_list_of_what_may_be_kept() -> None:
    assert set(Record._fields) <= privacy.KEPT_FIELDS
