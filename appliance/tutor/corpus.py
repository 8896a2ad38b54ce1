"""Samples for training and evaluation, from a seed: the same on every machine.

Every sample is drawn from a generator of its own, seeded by SHA-256 over seed,
split and index, so the stream can be cut anywhere. A problem belongs to one
split by a digest of its family (``Problem.family``), so that no held-out
exercise, nor its commuted twin, was ever trained on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from appliance.tutor import phrasing
from appliance.tutor.mistakes import Mistake
from appliance.tutor.problems import Language, Problem
from appliance.tutor.taxonomy import MISTAKES, sole_explanation
from appliance.tutor.working import working

Split = Literal["train", "heldout"]
Task = Literal["diagnosis", "similar"]

SYSTEM_PROMPT = "Math tutor. Reply in JSON."
"""The one system line of the corpus; the checks need none."""

KOREAN_SHARE = 0.6
DIAGNOSIS_SHARE = 0.7
HARD_SHARE = 0.35
"""Share of samples of difficulty 2; the rest is of difficulty 1."""

_HELDOUT_IN = 6
_DRAWS = 4000


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Literal["system", "user"]
    content: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One question with the answer that is wanted.

    Attributes:
        task: ``diagnosis`` (오답분석) or ``similar`` (유사문제 생성).
        language: the pupil's language.
        kind: the problem's kind.
        mistake: the planted mistake's key; for ``similar`` the one to train, None if the question names none.
        messages: system and user message.
        answer: the assistant's content, compact JSON.
        problem: the given problem's canonical form.
    """

    task: Task
    language: Language
    kind: str
    mistake: str | None
    messages: tuple[Message, ...]
    answer: str
    problem: str


def split_of(problem: Problem) -> Split:
    """The split a problem belongs to, for ever: one family in six is held out."""
    digest = hashlib.sha256(problem.family.encode()).digest()
    return "heldout" if digest[0] % _HELDOUT_IN == 0 else "train"


def _generator(*parts: object) -> Random:
    """A generator that depends on nothing but these parts."""
    digest = hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
    return Random(int.from_bytes(digest, "big"))  # noqa: S311 - exercises, not secrets


def compact_json(value: dict[str, str]) -> str:
    """JSON without spaces, Korean as it is: one token less at every separator."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _draw(
    mistake: Mistake[Any], split: Split, random: Random, kind: type[Problem], difficulty: int, unlike: str = ""
) -> Problem:
    """A problem of the split in which the mistake shows, of another family than ``unlike``."""
    for _ in range(_DRAWS):
        problem = kind.draw(random, difficulty)
        if split_of(problem) == split and problem.family != unlike and sole_explanation(problem, mistake):
            return problem
    raise ValueError(f"no {split} problem of difficulty {difficulty} in {kind.kind} for {mistake.key}")


def _diagnosis(problem: Problem, mistake: Mistake[Any], language: Language, random: Random) -> tuple[str, str]:
    wrong = mistake.wrong(problem)
    if wrong is None:
        raise ValueError(f"{mistake.key} does not apply to {problem.canonical}")
    answer = {
        "working": working(problem),
        "correct_answer": problem.answer_text,
        "error_type": mistake.key,
        "explanation": mistake.advice(problem, language),
    }
    return phrasing.ask_diagnosis(problem, wrong.text, language, random), compact_json(answer)


def sample(seed: int, split: Split, index: int) -> Sample:
    """The sample at one place of the stream. Mistakes take turns: each block of them holds every one once."""
    turn = list(MISTAKES)
    _generator("turn", seed, split, index // len(turn)).shuffle(turn)
    mistake = turn[index % len(turn)]
    random = _generator("sample", seed, split, index)
    language: Language = "ko" if random.random() < KOREAN_SHARE else "en"
    task: Task = "diagnosis" if random.random() < DIAGNOSIS_SHARE else "similar"
    difficulty = 2 if random.random() < HARD_SHARE else 1
    kind = random.choice(mistake.kinds)
    problem = _draw(mistake, split, random, kind, difficulty)
    named: str | None = mistake.key
    if task == "diagnosis":
        user, answer = _diagnosis(problem, mistake, language, random)
    else:
        named = mistake.key if random.random() < 0.5 else None
        user = phrasing.ask_similar(problem, named, language, random)
        other = _draw(mistake, split, random, kind, difficulty, unlike=problem.family)
        answer = compact_json(
            {"problem": other.expression(language), "working": working(other), "answer": other.answer_text}
        )
    messages = (Message("system", SYSTEM_PROMPT), Message("user", user))
    return Sample(task, language, problem.kind, named, messages, answer, problem.canonical)


def samples(seed: int, split: Split, count: int) -> Iterator[Sample]:
    """The first ``count`` samples of a split; a longer stream starts with a shorter one."""
    return (sample(seed, split, index) for index in range(count))
