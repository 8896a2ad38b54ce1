import json
from pathlib import Path

import pytest

from appliance.bundles import evaluate, exam, exam_page
from appliance.core.building import Exam
from appliance.errors import GateMissed
from tests.bundles import shop

EXAM = Exam(items=24, seed=7, gate={"diagnosis": 0.6})
RIGHT = {sample.messages[-1].content: sample.answer for sample in exam.heldout(7, 24)}


def examined(job):
    """The quantized model knows everything, the base nothing."""
    replies = ["" if "base" in job["model"] else RIGHT.get(asked[-1]["content"], "") for asked in job["questions"]]
    Path(job["replies"]).write_text(json.dumps(replies))


@pytest.fixture
def made(tmp_path):
    return shop.make(tmp_path, examine=examined)


def models(tmp_path):
    return {"base": shop.model(tmp_path), "w8a8": shop.model(tmp_path, "quantized-w8a8", "small")}


def test_models_are_examined_side_by_side_and_once(made, tmp_path):
    done = evaluate.stage(made, models(tmp_path), EXAM, None)
    assert [shares["diagnosis"] for shares in evaluate.read(done)] == [0.0, 1.0]
    assert (done.directory / exam_page.PAGE_NAME).is_file()
    assert evaluate.stage(made, models(tmp_path), EXAM, None).was_there
    assert made.ran == ["examine-base", "examine-quantized-w8a8"]


def test_academys_items_are_asked_as_well(made, tmp_path):
    items = tmp_path / "items.jsonl"
    items.write_text('{"task": "similar", "language": "ko", "question": "3/4 + 1/2"}\n')
    done = evaluate.stage(made, models(tmp_path), EXAM, items)
    stated = json.loads((done.directory / exam_page.SCORES_NAME).read_text())
    assert len(stated["models"][0]["items"]) == 25
    assert "1 items of the academy" in stated["what"]


def test_gate_lets_pass_what_reaches_it_and_names_what_does_not():
    evaluate.require(EXAM, {"diagnosis": 0.61})
    with pytest.raises(GateMissed, match=r"diagnosis 59.0% is below 60.0%"):
        evaluate.require(EXAM, {"diagnosis": 0.59})
