import hashlib
import json
from collections import Counter
from dataclasses import asdict

import pytest

from appliance.tutor import kinds
from appliance.tutor.checks import check_diagnosis, check_similar
from appliance.tutor.corpus import SYSTEM_PROMPT, sample, samples, split_of
from appliance.tutor.integers import Addition
from appliance.tutor.schemas import DIAGNOSIS_KEYS, SIMILAR_KEYS
from appliance.tutor.symbolic import solve
from appliance.tutor.taxonomy import BY_KEY, MISTAKES
from appliance.tutor.working import holds


@pytest.fixture(scope="module")
def train():
    return list(samples(1, "train", 10_000))


@pytest.fixture(scope="module")
def heldout():
    return list(samples(1, "heldout", 10_000))


def families(corpus):
    stated = {kinds.parse(item.problem).family for item in corpus}
    made = {kinds.parse(json.loads(item.answer)["problem"]).family for item in corpus if item.task == "similar"}
    return stated | made


def test_splits_share_no_problem_not_even_commuted_or_as_an_answer(train, heldout):
    assert families(train).isdisjoint(families(heldout))


def test_the_checks_accept_every_answer_of_the_corpus(heldout):
    for item in heldout[:3000]:
        problem = kinds.parse(item.problem)
        if item.task == "diagnosis":
            verdict = check_diagnosis(item.answer, problem, item.mistake)
        else:
            verdict = check_similar(item.answer, problem, mistake=item.mistake)
        assert verdict.right, (item, verdict)


def test_sympy_agrees_with_the_answers_of_the_corpus(heldout):
    for text in sorted({item.problem for item in heldout})[::10]:
        assert solve(text) == kinds.parse(text).answer, text


def test_every_mistake_is_equally_represented(train):
    whole = train[: len(MISTAKES) * 400]
    diagnosed = Counter(item.mistake for item in whole if item.task == "diagnosis")
    assert set(diagnosed) == set(BY_KEY)
    assert min(diagnosed.values()) > 0.8 * max(diagnosed.values())


def test_three_in_five_samples_are_korean(train):
    assert 0.58 < sum(item.language == "ko" for item in train) / len(train) < 0.62


def test_both_difficulties_and_both_tasks_occur(train):
    assert {kinds.parse(item.problem).difficulty for item in train} == {1, 2}
    assert 0.67 < sum(item.task == "diagnosis" for item in train) / len(train) < 0.73


def test_a_fixed_seed_gives_a_fixed_corpus(train):
    text = json.dumps([asdict(item) for item in train[:1000]], ensure_ascii=False, sort_keys=True)
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "0c6640216730852e6d4bbec93b2fbe02b54992df63a40df08b37fd1ea942e330"
    )


def test_a_longer_stream_starts_with_the_shorter_and_any_place_can_be_had_alone(train):
    assert list(samples(1, "train", 50)) == train[:50]
    assert sample(1, "train", 777) == train[777]


def test_another_seed_gives_other_samples(train):
    assert list(samples(2, "train", 50)) != train[:50]


def test_a_sample_is_short_enough_for_a_small_model(train):
    assert max(len(item.messages[1].content) + len(item.answer) for item in train) <= 240
    assert {item.messages[0].content for item in train} == {SYSTEM_PROMPT}


def test_the_working_leads_to_the_answer_and_the_json_is_compact(train):
    for item in train[:500]:
        value = json.loads(item.answer)
        assert json.dumps(value, ensure_ascii=False, separators=(",", ":")) == item.answer
        assert tuple(value) == (DIAGNOSIS_KEYS if item.task == "diagnosis" else SIMILAR_KEYS)
        assert holds(value["working"])


def test_a_commuted_problem_is_in_the_same_split():
    assert all(split_of(Addition(low, 35)) == split_of(Addition(35, low)) for low in range(11, 99))
