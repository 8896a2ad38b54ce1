import json

import pytest

from appliance.bundles.lesson import Lesson
from appliance.bundles.sheets import IGNORED
from appliance.core.tuning import Tuning
from appliance.tutor.corpus import sample

END = 0x110000


class Characters:
    """A tokenizer whose tokens are characters, with ChatML's marks as words."""

    eos_token_id = END

    def apply_chat_template(self, messages, **_options):
        return [ord(letter) for one in messages for letter in f"<{one['role']}>{one['content']}\n"] + [ord(">")]

    def __call__(self, text, **_options):
        return {"input_ids": [ord(letter) for letter in text]}


def text(tokens):
    return "".join(chr(token) for token in tokens if token != END)


def lesson(**changes):
    return Lesson(Tuning(steps=3, rows=4, group_rows=2, heldout_rows=4, **changes), Characters())


def rows(made, task, count=120):
    return [
        (sample(1, "train", place), made.row(place)) for place in range(count) if sample(1, "train", place).task == task
    ]


def test_row_is_the_corpus_sample_of_its_place():
    drawn, row = rows(lesson(explained_share=1.0), "diagnosis")[0]
    assert drawn.messages[-1].content in text(row.prompt)
    assert text(row.answer) == drawn.answer
    assert row.answer[-1] == END


def test_unexplained_row_trains_answer_and_key_and_no_end():
    for drawn, row in rows(lesson(explained_share=0.0), "diagnosis"):
        wanted = json.loads(drawn.answer)
        assert f'"{wanted["error_type"]}",' in text(row.answer)
        assert wanted["explanation"] not in text(row.answer)
        assert row.answer[-1] != END


def test_share_of_explained_rows_is_the_profiles():
    whole = [row.answer[-1] == END for _, row in rows(lesson(explained_share=0.4), "diagnosis", 600)]
    assert 0.3 < sum(whole) / len(whole) < 0.5


def test_invented_problem_is_given_and_its_answer_trained():
    for drawn, row in rows(lesson(invented_share=0.0), "similar"):
        wanted = json.loads(drawn.answer)
        assert text(row.answer[: row.given]) == '{"problem":"' + wanted["problem"]
        trained = f'","working":"{wanted["working"]}","answer":"{wanted["answer"]}"}}'
        assert text(row.answer[row.given :]) == trained
    assert {row.given for _, row in rows(lesson(invented_share=1.0), "similar")} == {0}


def test_sheets_are_the_same_every_time_and_end_with_the_steps():
    first, second = lesson(), lesson()
    assert [first[step] for step in range(3)] == [second[step] for step in range(3)]
    assert first[0] != first[1]
    with pytest.raises(IndexError):
        first[3]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_heldout_sheets_hold_as_many_rows_as_the_profile_says(language):
    sheets = list(lesson().heldout(language))
    assert sum(rows for sheet in sheets for rows, _ in sheet["groups"]) == 4
    assert all(any(target != IGNORED for target in sheet["targets"]) for sheet in sheets)
