"""Families, samples and the text that Prometheus reads.

The format (version 0.0.4) is three kinds of lines. It is written here and not by
``prometheus_client`` because that renames a counter that does not end in
``_total``, as DCGM's do not; tests read what comes out with ``prometheus_client``'s
parser and with ``promtool``. Source: Prometheus, "Exposition formats".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_IN_LABEL = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True)
class Family:
    """One metric.

    Args:
        name: with its base unit, after the Prometheus naming conventions.
        kind: its type.
        help: one sentence.
        labels: names, in the order of a sample's values.
    """

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...] = ("gpu",)

    def of(self, value: float | None, *labels: str, times: float = 1, per: float = 1) -> Iterator[Sample]:
        """One sample of ``value * times / per``, or none at all for None: what is not known is absent, not zero."""
        if value is not None:
            yield Sample(self, labels, value * times / per)


class Sample(NamedTuple):
    """One line: a family, the values of its labels, a number."""

    family: Family
    labels: tuple[str, ...]
    value: float


def states(family: Family, gpu: str, possible: Iterable[str], current: str | None) -> Iterator[Sample]:
    """One sample a possible state, 1 for the current one and 0 for the others: a label set that never changes."""
    for state in possible:
        yield Sample(family, (gpu, state) if gpu else (state,), float(state == current))


def render(samples: Iterable[Sample]) -> bytes:
    """The exposition: families in the order in which they first appear, each with HELP and TYPE."""
    members: dict[str, list[Sample]] = {}
    for sample in samples:
        members.setdefault(sample.family.name, []).append(sample)
    lines: list[str] = []
    for name, group in members.items():
        family = group[0].family
        lines.append(f"# HELP {name} {family.help}")
        lines.append(f"# TYPE {name} {family.kind}")
        lines.extend(_line(sample) for sample in group)
    lines.append("")
    return "\n".join(lines).encode()


def _line(sample: Sample) -> str:
    number = str(int(sample.value)) if float(sample.value).is_integer() else repr(float(sample.value))
    if not sample.labels:
        return f"{sample.family.name} {number}"
    pairs = zip(sample.family.labels, sample.labels, strict=True)
    labels = ",".join(f'{name}="{value.translate(_IN_LABEL)}"' for name, value in pairs)
    return f"{sample.family.name}{{{labels}}} {number}"
