"""Counting verdicts: shares overall, per language and per mistake, and the confusion matrix.

A share is a ``Share``: right out of total, never a bare float, so that the
page can show how many items stand behind a figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from appliance.tutor.checks import DiagnosisVerdict, SimilarVerdict
from appliance.tutor.corpus import Sample

NO_DIAGNOSIS = "none"
"""Column of the confusion matrix for replies that name no mistake of the taxonomy."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    right: int
    total: int

    @property
    def ratio(self) -> float:
        """0 to 1; 0 where there was nothing to count."""
        return self.right / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """The scores of a set of samples; a task without samples has shares of 0 out of 0.

    Attributes:
        diagnosis: right mistake named.
        correct_answer: corrected answer right.
        diagnosis_json: valid JSON in diagnoses.
        similar: generated problem right in everything.
        similar_json: valid JSON in generated problems.
        working: every equation of the working true, in either task.
    """

    diagnosis: Share
    correct_answer: Share
    diagnosis_json: Share
    similar: Share
    similar_json: Share
    working: Share


@dataclass(frozen=True, slots=True)
class Scores:
    """All scores of one run.

    Attributes:
        overall: of every sample.
        by_language: ``ko`` and ``en``.
        by_kind: per kind of problem.
        diagnosis_by_mistake: planted mistake to the share of right diagnoses.
        confusion: planted mistake to answered mistake (or ``none``) to count.
        similar_faults: what was wrong with generated problems, and how often.
    """

    overall: Group
    by_language: Mapping[str, Group]
    by_kind: Mapping[str, Group]
    diagnosis_by_mistake: Mapping[str, Share]
    confusion: Mapping[str, Mapping[str, int]]
    similar_faults: Mapping[str, int]


Judged = tuple[Sample, DiagnosisVerdict | SimilarVerdict]
"""A sample and what its reply got right."""


def _share(flags: Iterable[bool]) -> Share:
    values = list(flags)
    return Share(sum(values), len(values))


def _group(judged: Iterable[Judged]) -> Group:
    verdicts = [verdict for _, verdict in judged]
    diagnoses = [verdict for verdict in verdicts if isinstance(verdict, DiagnosisVerdict)]
    similar = [verdict for verdict in verdicts if isinstance(verdict, SimilarVerdict)]
    return Group(
        diagnosis=_share(verdict.diagnosis_right for verdict in diagnoses),
        correct_answer=_share(verdict.answer_right for verdict in diagnoses),
        diagnosis_json=_share(verdict.json_valid for verdict in diagnoses),
        similar=_share(verdict.right for verdict in similar),
        similar_json=_share(verdict.json_valid for verdict in similar),
        working=_share(verdict.working_right for verdict in verdicts),
    )


def _fault(verdict: SimilarVerdict) -> Iterable[str]:
    names = ("json_valid", "well_formed", "same_kind", "same_difficulty", "new", "fits_mistake", "answer_right")
    return (name for name in names if not getattr(verdict, name))


def tally(judged: Iterable[Judged]) -> Scores:
    """The scores of samples with their verdicts, in any order."""
    rows = list(judged)
    confusion: dict[str, Counter[str]] = {}
    for sample, verdict in rows:
        if isinstance(verdict, DiagnosisVerdict) and sample.mistake is not None:
            confusion.setdefault(sample.mistake, Counter())[verdict.error_type or NO_DIAGNOSIS] += 1
    faults = Counter(name for _, verdict in rows if isinstance(verdict, SimilarVerdict) for name in _fault(verdict))
    languages = sorted({sample.language for sample, _ in rows})
    kinds = sorted({sample.kind for sample, _ in rows})
    return Scores(
        overall=_group(rows),
        by_language=MappingProxyType(
            {name: _group(row for row in rows if row[0].language == name) for name in languages}
        ),
        by_kind=MappingProxyType({name: _group(row for row in rows if row[0].kind == name) for name in kinds}),
        diagnosis_by_mistake=MappingProxyType(
            {key: Share(named[key], named.total()) for key, named in sorted(confusion.items())}
        ),
        confusion=MappingProxyType({key: MappingProxyType(dict(named)) for key, named in sorted(confusion.items())}),
        similar_faults=MappingProxyType(dict(faults)),
    )
