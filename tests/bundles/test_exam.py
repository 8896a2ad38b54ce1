import json

import pytest

from appliance.bundles import exam
from appliance.errors import EvaluationFailed

ITEM = {
    "task": "diagnosis",
    "language": "ko",
    "question": "37 + 48 = ?",
    "student_answer": "75",
    "correct_answer": "85",
    "error_type": "addition_carry_dropped",
}


def items(tmp_path, *entries):
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n", encoding="utf-8")
    return exam.read_items(path)


def test_perfect_replies_reach_everything_in_both_languages():
    asked = exam.heldout(7, 60)
    result = exam.mark("perfect", asked, [sample.answer for sample in asked])
    assert result.shares == dict.fromkeys(
        ("diagnosis", "correct_answer", "diagnosis_json", "similar", "similar_json", "working"), 1.0
    )
    assert set(result.scores.by_language) == {"ko", "en"}
    assert not any(one.faults for one in result.marked)


def test_no_replies_reach_nothing_and_say_why():
    asked = exam.heldout(7, 30)
    result = exam.mark("silent", asked, [""] * 30)
    assert set(result.shares.values()) == {0.0}
    assert all(one.faults for one in result.marked)


def test_view_is_json_with_counts_behind_every_share():
    asked = exam.heldout(7, 20)
    view = json.loads(json.dumps(exam.view(exam.mark("m", asked, [sample.answer for sample in asked]))))
    assert view["overall"]["diagnosis"]["right"] == view["overall"]["diagnosis"]["total"] > 0
    assert len(view["items"]) == 20
    assert view["items"][0]["reply"] == asked[0].answer


def test_heldout_questions_are_the_same_every_time():
    assert exam.heldout(7, 5) == exam.heldout(7, 5) != exam.heldout(8, 5)


def test_request_asks_without_chance_and_with_the_schema_only_if_wanted():
    sample = exam.heldout(7, 1)[0]
    plain = exam.request(sample, "m", with_schema=False)
    assert (plain["temperature"], plain["model"]) == (0, "m")
    assert "response_format" not in plain
    assert exam.request(sample, "m", with_schema=True)["response_format"]["type"] == "json_schema"


def test_academys_item_is_asked_and_marked_as_the_corpus_is(tmp_path):
    similar = {"task": "similar", "language": "en", "question": "1/2 + 1/3", "error_type": None}
    first, second = items(tmp_path, ITEM, similar)
    assert "37 + 48" in first.messages[-1].content
    assert "75" in first.messages[-1].content
    reply = json.dumps(
        {
            "working": "7+8=15,3+4+1=8",
            "correct_answer": "85",
            "error_type": "addition_carry_dropped",
            "explanation": "x",
        }
    )
    made = json.dumps({"problem": "1/4 + 1/5", "working": "5/20+4/20=9/20", "answer": "9/20"})
    result = exam.mark("m", [first, second], [reply, made])
    assert result.scores.overall.diagnosis.right == 1
    assert [one.faults for one in result.marked] == [(), ()]


def test_wording_of_the_academys_app_replaces_ours(tmp_path):
    (asked,) = items(tmp_path, {**ITEM, "prompt": "학생이 37+48을 75라고 했습니다."})
    assert asked.messages[-1].content == "학생이 37+48을 75라고 했습니다."


@pytest.mark.parametrize(
    "change",
    [
        {"task": "poem"},
        {"language": "fr"},
        {"question": "Who was Sejong?"},
        {"error_type": "typo"},
        {"error_type": None},
        {"question": 5},
    ],
)
def test_item_of_another_form_is_refused_by_its_line(tmp_path, change):
    with pytest.raises(EvaluationFailed, match="Line 2"):
        items(tmp_path, ITEM, {**ITEM, **change})


def test_items_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(EvaluationFailed):
        exam.read_items(tmp_path / "missing.jsonl")
    (tmp_path / "broken.jsonl").write_text("[1\n")
    with pytest.raises(EvaluationFailed, match="Line 1"):
        exam.read_items(tmp_path / "broken.jsonl")
