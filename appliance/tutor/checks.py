"""Is an answer right? Decided from the problem alone, without a model.

A verdict says each thing it looked at, and in ``reasons`` in plain words what
was wrong, so that a person can follow every score.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from fractions import Fraction

from appliance.tutor import kinds, notation, replies, working
from appliance.tutor.problems import Problem
from appliance.tutor.schemas import DIAGNOSIS_KEYS, SIMILAR_KEYS
from appliance.tutor.taxonomy import BY_KEY

Solve = Callable[[str], Fraction | None]
"""A second opinion: from an expression to its answer (``symbolic.solve``)."""


@dataclass(frozen=True, slots=True)
class DiagnosisVerdict:
    """What a wrong-answer analysis got right.

    Attributes:
        json_valid: the reply is one JSON object with exactly the wanted keys and nothing around it.
        diagnosis_right: the error type is the planted one.
        working_right: every equation of the working is true; counted apart, since a person may write it as he likes.
        answer_right: the corrected answer has the right value, in whatever form.
        explained: there is an explanation.
        error_type: the key that was answered, empty if none of the taxonomy.
        reasons: what was wrong, in words; empty if nothing.
    """

    json_valid: bool
    diagnosis_right: bool
    working_right: bool
    answer_right: bool
    explained: bool
    error_type: str
    reasons: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether everything is."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class SimilarVerdict:
    """What a generated problem got right.

    Attributes:
        json_valid: the reply is one JSON object with exactly the wanted keys and nothing around it.
        well_formed: the problem can be read as one of a known kind, hence has one answer.
        same_kind: it is of the kind of the given one.
        same_difficulty: it is as difficult.
        new: it is not the given one, its commuted twin, nor one of the excluded.
        fits_mistake: the mistake asked for can happen in it; True if none was asked for.
        working_right: as of a diagnosis.
        answer_right: its stated answer is right, also by the second opinion where one is given.
        reasons: what was wrong, in words; empty if nothing.
    """

    json_valid: bool
    well_formed: bool
    same_kind: bool
    same_difficulty: bool
    new: bool
    fits_mistake: bool
    working_right: bool
    answer_right: bool
    reasons: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether everything is."""
        return not self.reasons


def answer_is_right(problem: Problem, text: str) -> bool:
    """Whether a text states the right answer: 1/2, 2/4, 0.5, ``x = 1/2`` and ``0.5 m`` are the same."""
    return notation.read(text) == problem.answer


def check_diagnosis(text: str, problem: Problem, mistake: str) -> DiagnosisVerdict:
    """Judge a wrong-answer analysis.

    Args:
        text: what the model said.
        problem: the given problem.
        mistake: key of the planted mistake.
    """
    reply = replies.read(text)
    fields = reply.fields or {}
    named = fields.get("error_type", "")
    json_valid = _keyed(reply, DIAGNOSIS_KEYS)
    diagnosis_right = named == mistake
    working_right = working.holds(fields.get("working", ""))
    answer_right = answer_is_right(problem, fields.get("correct_answer", ""))
    explained = bool(fields.get("explanation", "").strip())
    reasons = _faults(
        (json_valid, "not one JSON object with the wanted keys"),
        (diagnosis_right, f"the mistake is not {mistake}"),
        (answer_right, f"the answer is not {problem.answer_text}"),
        (explained, "no explanation"),
    )
    return DiagnosisVerdict(
        json_valid, diagnosis_right, working_right, answer_right, explained, named if named in BY_KEY else "", reasons
    )


def check_similar(
    text: str,
    given: Problem,
    *,
    mistake: str | None = None,
    exclude: Collection[str] = (),
    second_opinion: Solve | None = None,
) -> SimilarVerdict:
    """Judge a generated problem.

    Args:
        text: what the model said.
        given: the problem it was to be like.
        mistake: key of the mistake it was to train, None if none was named.
        exclude: families (``Problem.family``) that are not new.
        second_opinion: another way to the answer, ``symbolic.solve`` in the evaluation.
    """
    reply = replies.read(text)
    fields = reply.fields or {}
    json_valid = _keyed(reply, SIMILAR_KEYS)
    problem = kinds.parse(fields.get("problem", ""))
    if problem is None:
        bad_json = () if json_valid else ("not one JSON object with the wanted keys",)
        return SimilarVerdict(
            json_valid, False, False, False, False, False, False, False, (*bad_json, "no problem of a known kind")
        )
    same_kind = problem.kind == given.kind
    same_difficulty = problem.difficulty == given.difficulty
    new = problem.family != given.family and problem.family not in exclude
    fits = mistake is None or BY_KEY[mistake].wrong(problem) is not None
    working_right = working.holds(fields.get("working", ""))
    answer_right = _agreed(problem, fields.get("answer", ""), second_opinion)
    reasons = _faults(
        (json_valid, "not one JSON object with the wanted keys"),
        (same_kind, f"of the kind {problem.kind}, not {given.kind}"),
        (same_difficulty, f"of difficulty {problem.difficulty}, not {given.difficulty}"),
        (new, "not new"),
        (fits, f"no place for {mistake}"),
        (answer_right, f"the stated answer is not {problem.answer_text}"),
    )
    return SimilarVerdict(json_valid, True, same_kind, same_difficulty, new, fits, working_right, answer_right, reasons)


def _keyed(reply: replies.Reply, keys: tuple[str, ...]) -> bool:
    return reply.bare and reply.fields is not None and sorted(reply.fields) == sorted(keys)


def _faults(*looked_at: tuple[bool, str]) -> tuple[str, ...]:
    return tuple(reason for good, reason in looked_at if not good)


def _agreed(problem: Problem, text: str, second_opinion: Solve | None) -> bool:
    if second_opinion is not None and second_opinion(problem.canonical) != problem.answer:
        return False
    return answer_is_right(problem, text)
