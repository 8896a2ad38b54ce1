"""The checks that golden questions may ask for."""

from __future__ import annotations

import json
from random import Random

import pytest

from appliance.cli.checkers import CHECKERS
from appliance.tutor import corpus


@pytest.fixture(params=["diagnosis", "similar"])
def sample(request):
    drawn = (corpus.sample(7, "heldout", index) for index in range(100))
    return next(one for one in drawn if one.task == request.param)


def value(sample):
    return {"problem": sample.problem, "error_type": sample.mistake}


def test_checks_of_any_model_are_there_too():
    assert CHECKERS["contains"]("the answer is 85", "85") == ""
    assert CHECKERS["contains"]("75", "85") != ""


def test_right_answer_of_the_corpus_passes_its_task(sample):
    assert CHECKERS[sample.task](sample.answer, value(sample)) == ""


def test_wrong_answer_is_named_in_words(sample):
    spoiled = dict.fromkeys(json.loads(sample.answer), "?")
    assert CHECKERS[sample.task](json.dumps(spoiled), value(sample)).startswith("is not right: ")
    assert CHECKERS[sample.task]("no JSON at all", value(sample)) != ""


@pytest.mark.parametrize("odd", [None, 3, {}, {"problem": "solve the unsolvable"}, [Random]])
def test_value_that_names_no_problem_is_a_failure_and_no_crash(sample, odd):
    assert CHECKERS[sample.task](sample.answer, odd) == "is to a problem of no known kind"
