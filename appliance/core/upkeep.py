"""What ``appliance upkeep`` finds: outcomes of its checks, and their Prometheus text.

A check that could not look says so and gives no series: what is not known, not
there or not configured is absent, not zero. Only
``appliance_backup_configured`` and ``appliance_egress_rules_loaded`` say 0 for that.
The text is for node exporter's textfile collector, so it has no time stamps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from appliance.core.metric import Family

Check = Literal["audit", "backup", "certificate", "clock", "egress", "privacy_test"]
CHECKS: tuple[Check, ...] = ("audit", "backup", "certificate", "clock", "egress", "privacy_test")
#: ``off``: there is nothing of the kind, or it is not configured.
State = Literal["good", "warning", "bad", "unknown", "off"]
#: Values of ``certificate``.
CERTIFICATES = ("server", "ca")

FAMILIES = (
    Family("appliance_upkeep_timestamp_seconds", "gauge", "When upkeep last looked, Unix seconds."),
    Family("appliance_upkeep_check_success", "gauge", "1 if the check could look, else 0.", ("check",)),
    Family("appliance_audit_intact", "gauge", "1 if the audit's chain was whole when it was last verified, else 0."),
    Family("appliance_audit_verified_timestamp_seconds", "gauge", "When that was, Unix seconds."),
    Family("appliance_audit_records", "gauge", "Records of the audit that were in order then."),
    Family("appliance_backup_configured", "gauge", "1 if backups are configured, else 0."),
    Family("appliance_backup_last_success_timestamp_seconds", "gauge", "When the last good backup was made."),
    Family("appliance_backup_size_bytes", "gauge", "Its size."),
    Family(
        "appliance_certificate_expiry_timestamp_seconds", "gauge",
        "When the first certificate of the file ends, Unix seconds.", ("certificate",),
    ),
    Family(
        "appliance_clock_offset_seconds", "gauge",
        "How far the clock was off its time source, either way, when chrony measured it last.",
    ),
    Family("appliance_privacy_test_passed", "gauge", "1 if the last privacy test found no canary word, else 0."),
    Family("appliance_privacy_test_timestamp_seconds", "gauge", "When it ran, Unix seconds."),
    Family("appliance_privacy_test_canaries_found", "gauge", "Places in which it found one."),
    Family(
        "appliance_egress_rules_loaded", "gauge",
        "1 if the loaded packet filter is the planned one, by its digest and rule by rule, and no other table is, else 0.",
    ),
    Family(
        "appliance_egress_dropped_packets_total", "counter",
        "Packets that were not allowed out and were dropped, by the user whose process sent them.", ("source",),
    ),
    Family("appliance_egress_dropped_bytes_total", "counter", "Their bytes.", ("source",)),
)  # fmt: skip
BY_NAME = {family.name: family for family in FAMILIES}


class Sample(NamedTuple):
    """One line of the text: a metric's name, a number, the values of its labels."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


class Text(NamedTuple):
    """The same sentence twice."""

    english: str
    korean: str


@dataclass(frozen=True)
class Finding:
    """One line for a person.

    Attributes:
        subject: what it is about.
        state: how it stands.
        text: what was found.
        remedy: what to do; None where nothing is to be done.
    """

    subject: Text
    state: State
    text: Text
    remedy: Text | None = None


@dataclass(frozen=True)
class Outcome:
    """What one check found.

    Attributes:
        check: its name.
        findings: lines for a person, at least one.
        samples: what Prometheus gets.
        looked: whether it could look at all.
    """

    check: Check
    findings: tuple[Finding, ...]
    samples: tuple[Sample, ...] = ()
    looked: bool = True


def exposition(outcomes: Iterable[Outcome], at: float) -> bytes:
    """The text for Prometheus, format 0.0.4.

    Args:
        outcomes: of the checks that ran.
        at: when they looked, Unix seconds.

    Raises:
        ValueError: a sample is not of :data:`FAMILIES`, or has other labels.
    """
    outcomes = list(outcomes)
    members: dict[str, list[Sample]] = {}
    for sample in (
        Sample("appliance_upkeep_timestamp_seconds", at),
        *(Sample("appliance_upkeep_check_success", outcome.looked, (outcome.check,)) for outcome in outcomes),
        *(sample for outcome in outcomes for sample in outcome.samples),
    ):
        members.setdefault(sample.name, []).append(sample)
    if strange := members.keys() - BY_NAME.keys():
        raise ValueError(f"no such metric: {', '.join(sorted(strange))}")
    return generate_latest(_Registry([_metric(f, members[f.name]) for f in FAMILIES if f.name in members]))


class _Registry:
    """Metrics that are there already, as ``prometheus_client`` asks for them."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def _metric(family: Family, samples: list[Sample]) -> Metric:
    kind: type[CounterMetricFamily | GaugeMetricFamily] = (
        CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    )
    metric = kind(family.name, family.text, labels=family.labels)
    for sample in samples:
        if len(sample.labels) != len(family.labels):  # which prometheus_client would cut in silence
            raise ValueError(f"{family.name} has the labels {family.labels}")
        metric.add_metric(sample.labels, sample.value)
    return metric
