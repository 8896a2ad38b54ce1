"""The examination: held-out questions, or an academy's own, and the marks of a model's replies.

An item of an academy's JSONL file, one object a line::

    {"task": "diagnosis", "language": "ko", "question": "37 + 48 = ?", "student_answer": "75",
     "correct_answer": "85", "error_type": "addition_carry_dropped"}
    {"task": "similar", "language": "en", "question": "1/2 + 1/3", "error_type": null}

A text in ``prompt`` replaces the question that is made of ``question`` and
``student_answer``, so that the wording of the academy's app can be tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from appliance.errors import EvaluationFailed
from appliance.tutor import checks, corpus, kinds, phrasing, scores
from appliance.tutor.corpus import Message, Sample
from appliance.tutor.schemas import response_format
from appliance.tutor.scores import Judged, Scores, Share
from appliance.tutor.taxonomy import BY_KEY

#: Longest answer that is asked for: the corpus' longest is 75 tokens of the smallest tokenizer.
MAX_TOKENS = 200


@dataclass(frozen=True)
class Marked:
    """One question, what was replied, and what is wrong with it (nothing, if empty)."""

    sample: Sample
    reply: str
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What one model reached.

    Args:
        title: of the model.
        scores: over all items.
        marked: item by item.
    """

    title: str
    scores: Scores
    marked: tuple[Marked, ...]

    @property
    def shares(self) -> dict[str, float]:
        """The overall scores by name, 0 to 1."""
        return {name: share.ratio for name, share in _named(self.scores.overall)}


def heldout(seed: int, count: int) -> list[Sample]:
    """Held-out samples of the corpus: problems that no training ever sees."""
    return list(corpus.samples(seed, "heldout", count))


def read_items(path: Path) -> list[Sample]:
    """An academy's own items.

    Raises:
        EvaluationFailed: the file cannot be read, or an item is not of the form; says which line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise EvaluationFailed(f"{path} cannot be read.", remedy="Name a JSONL file in UTF-8.") from None
    return [_item(line, number) for number, line in enumerate(lines, start=1) if line.strip()]


def request(sample: Sample, model: str, *, with_schema: bool) -> dict[str, Any]:
    """The chat request that asks one sample, without chance."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": messages(sample),
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
    }
    return {**asked, "response_format": response_format(sample.task)} if with_schema else asked


def messages(sample: Sample) -> list[dict[str, str]]:
    """A sample's messages as a chat request has them."""
    return [{"role": message.role, "content": message.content} for message in sample.messages]


def mark(title: str, asked: Sequence[Sample], replies: Iterable[str]) -> Result:
    """Judge all replies of one model.

    Args:
        title: of the model.
        asked: the samples.
        replies: one for each, empty where there was none.
    """
    from appliance.tutor import symbolic

    try:
        symbolic.solve("1 + 1")
        second_opinion: checks.Solve | None = symbolic.solve
    except ImportError:
        # SymPy is there where bundles are built; on a box the exact arithmetic of the domain judges alone.
        second_opinion = None
    judged: list[Judged] = []
    marked: list[Marked] = []
    for sample, reply in zip(asked, replies, strict=True):
        problem = kinds.parse(sample.problem)
        if problem is None:
            raise EvaluationFailed(f"The problem {sample.problem!r} is of no known kind.")
        verdict: checks.DiagnosisVerdict | checks.SimilarVerdict
        if sample.task == "diagnosis":
            verdict = checks.check_diagnosis(reply, problem, sample.mistake or "")
        else:
            verdict = checks.check_similar(reply, problem, mistake=sample.mistake, second_opinion=second_opinion)
        judged.append((sample, verdict))
        marked.append(Marked(sample, reply, verdict.reasons))
    return Result(title, scores.tally(judged), tuple(marked))


def view(result: Result) -> dict[str, Any]:
    """A result as JSON: shares as ``{"right", "total", "ratio"}``, and every item with its reply."""
    counted = result.scores
    return {
        "title": result.title,
        "overall": _group(counted.overall),
        "by_language": {name: _group(group) for name, group in counted.by_language.items()},
        "by_kind": {name: _group(group) for name, group in counted.by_kind.items()},
        "diagnosis_by_mistake": {key: _share(share) for key, share in counted.diagnosis_by_mistake.items()},
        "confusion": {key: dict(named) for key, named in counted.confusion.items()},
        "similar_faults": dict(counted.similar_faults),
        "items": [{**asdict(one.sample), "reply": one.reply, "faults": list(one.faults)} for one in result.marked],
    }


def _named(group: scores.Group) -> list[tuple[str, Share]]:
    names = ("diagnosis", "correct_answer", "diagnosis_json", "similar", "similar_json", "working")
    return [(name, getattr(group, name)) for name in names]


def _group(group: scores.Group) -> dict[str, Any]:
    return {name: _share(share) for name, share in _named(group)}


def _share(share: Share) -> dict[str, Any]:
    return {"right": share.right, "total": share.total, "ratio": round(share.ratio, 4)}


def _item(line: str, number: int) -> Sample:
    refused = EvaluationFailed(
        f"Line {number} is no item.",
        remedy="Give task, language, a question of a known kind, student_answer, and an error_type of the taxonomy.",
    )
    try:
        stated = json.loads(line)
        task, language, key = stated["task"], stated["language"], stated.get("error_type")
        student_answer = str(stated["student_answer"]) if task == "diagnosis" else ""
        problem = kinds.parse(stated["question"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise refused from None
    known = key in BY_KEY if key is not None else task == "similar"
    if task not in ("diagnosis", "similar") or language not in ("ko", "en") or problem is None or not known:
        raise refused
    # Which wording is taken does not depend on the line: every item is asked alike.
    plain = Random(0)  # noqa: S311 - no secret
    if task == "diagnosis":
        made = phrasing.ask_diagnosis(problem, student_answer, language, plain)
    else:
        made = phrasing.ask_similar(problem, key, language, plain)
    prompt = str(stated.get("prompt") or made)
    answer = str(stated.get("correct_answer", problem.answer_text))
    asked = (Message("system", corpus.SYSTEM_PROMPT), Message("user", prompt))
    return Sample(task, language, problem.kind, key, asked, answer, problem.canonical)
