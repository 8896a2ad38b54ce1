"""Asking an engine its golden questions."""

from __future__ import annotations

import copy

import pytest

from appliance.bundles import digests, golden
from appliance.core.golden import CHECKERS
from appliance.errors import ModelUnusable
from tests.bundles import signed
from tests.fakes.engine import MODEL, FakeEngine


@pytest.fixture
def engine(state_dir):
    with FakeEngine(state_dir / "engine.sock") as running:
        yield running


def asked(tmp_path, *values):
    """One question for each value that its answer must contain; the fake answers "tok0 tok1 …"."""
    document = copy.deepcopy(signed.GOLDEN)
    question = document["questions"][0]
    document["questions"] = [
        {**question, "id": f"q{number}", "checks": [{"name": "contains", "value": value}]}
        for number, value in enumerate(values)
    ]
    bundle = signed.seal(signed.fill(tmp_path / "b", golden__json=document), None)
    return golden.questions(bundle, digests.read_manifest(bundle), CHECKERS)


def test_right_answers_give_no_failure_and_each_question_is_counted(engine, tmp_path):
    ticks = []
    assert golden.ask(engine.path, MODEL, asked(tmp_path, "tok0", "tok1"), CHECKERS, ticks.append) == []
    assert ticks == [0, 1]
    assert [seen.json["temperature"] for seen in engine.generations()] == [0, 0]


def test_each_wrong_answer_is_named_with_what_is_wrong(engine, tmp_path):
    failures = golden.ask(engine.path, MODEL, asked(tmp_path, "tok0", "서울", "tok1"), CHECKERS)
    assert [(one.question, one.what) for one in failures] == [("q1", "does not contain '서울'")]


@pytest.mark.parametrize("mode", ["refuses", "fails", "garbage", "garbage_body", "dies_before_answer"])
def test_answer_that_does_not_come_is_a_failure(engine, tmp_path, mode):
    engine.mode = mode
    failures = golden.ask(engine.path, MODEL, asked(tmp_path, "tok0"), CHECKERS)
    assert [one.what for one in failures] == ["did not come"]


def test_bundle_without_questions_asks_none(tmp_path):
    bundle = signed.seal(signed.fill(tmp_path / "b", golden__json=None), None)
    assert golden.questions(bundle, digests.read_manifest(bundle), CHECKERS) == ()


def test_questions_that_cannot_be_read_are_no_empty_ones(tmp_path):
    bundle = signed.make(tmp_path / "b", None)
    stated = digests.read_manifest(bundle)
    (bundle / "golden.json").write_text("{")
    with pytest.raises(ModelUnusable):
        golden.questions(bundle, stated, CHECKERS)
