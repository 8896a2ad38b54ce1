import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.bundles.sheets import IGNORED, Group, Row, lay_out

PAD = 99
TOKENS = st.lists(st.integers(0, 9), min_size=1, max_size=8)
ROWS = st.lists(st.builds(lambda prompt, answer: Row([5, 5, *prompt], answer), TOKENS, TOKENS), min_size=1, max_size=9)


def spans(sheet):
    """Start and width of every row on a sheet."""
    place = sheet.prefix
    for group in sheet.groups:
        for _ in range(group.rows):
            yield place, group.width
            place += group.width


@given(rows=ROWS, group_rows=st.integers(1, 4))
def test_every_row_is_on_the_sheet_whole_and_trains_its_answer(rows, group_rows):
    sheet = lay_out(rows, group_rows, PAD)
    found = []
    for start, width in spans(sheet):
        read = sheet.tokens[: sheet.prefix] + sheet.tokens[start : start + width]
        while read and read[-1] == PAD:
            read.pop()
        trained = [target for target in sheet.targets[start : start + width] if target != IGNORED]
        found.append((read, trained))
    assert sorted(found) == sorted(([*row.prompt, *row.answer], list(row.answer)) for row in rows)


@given(rows=ROWS, group_rows=st.integers(1, 4))
def test_target_of_a_place_is_the_token_after_it(rows, group_rows):
    sheet = lay_out(rows, group_rows, PAD)
    assert len(sheet.tokens) == len(sheet.positions) == len(sheet.targets)
    assert sheet.targets[: sheet.prefix] == [IGNORED] * sheet.prefix
    for start, width in spans(sheet):
        for place in range(start, start + width):
            if sheet.targets[place] != IGNORED:
                assert sheet.targets[place] == sheet.tokens[place + 1]
        assert sheet.positions[start : start + width] == list(range(sheet.prefix, sheet.prefix + width))


def test_prefix_is_what_all_prompts_share_but_never_a_whole_prompt():
    sheet = lay_out([Row([1, 2, 3], [7]), Row([1, 2, 4], [8])], 2, PAD)
    assert (sheet.prefix, sheet.groups) == (2, (Group(2, 2),))
    assert lay_out([Row([1, 2], [7]), Row([1, 2], [8])], 2, PAD).prefix == 1


def test_given_part_of_an_answer_is_read_and_not_trained():
    sheet = lay_out([Row([1, 2], [7, 8, 9], given=2)], 1, PAD)
    assert sheet.tokens == [1, 2, 7, 8, 9]
    assert sheet.targets == [IGNORED, IGNORED, IGNORED, 9, IGNORED]


def test_rows_of_like_length_share_a_group():
    rows = [Row([1, 2], [3] * length) for length in (9, 1, 8, 2)]
    assert lay_out(rows, 2, PAD).groups == (Group(2, 3), Group(2, 10))


def test_sheet_without_rows_is_no_sheet():
    with pytest.raises((IndexError, ValueError)):
        lay_out([], 2, PAD)
