"""The text that upkeep writes for Prometheus."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.core.egress import COUNTERS
from appliance.core.upkeep import CERTIFICATES, CHECKS, FAMILIES, Finding, Outcome, Sample, Text, exposition
from tests.promtool import complaints

AT = 1_795_400_000
LINE = (Finding(Text("audit", "감사 기록"), "good", Text("whole", "정상")),)
VALUES = {"check": CHECKS, "certificate": CERTIFICATES, "source": tuple(COUNTERS)}
#: Given by the exposition itself.
OWN = {"appliance_upkeep_timestamp_seconds", "appliance_upkeep_check_success"}


def everything() -> list[Outcome]:
    samples = tuple(
        Sample(family.name, 3, (value,) if family.labels else ())
        for family in FAMILIES
        if family.name not in OWN
        for value in (VALUES[family.labels[0]] if family.labels else ("",))
    )
    return [Outcome("audit", LINE, samples), *(Outcome(check, LINE) for check in CHECKS[1:])]


def series(text: bytes) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def test_promtool_has_nothing_to_say_about_the_whole_text() -> None:
    assert complaints(exposition(everything(), AT)) == []


def test_every_family_is_written_with_help_and_type_and_the_values_of_its_label() -> None:
    text = exposition(everything(), AT)
    found = series(text)
    assert list(found) == [family.name for family in FAMILIES]
    for family in FAMILIES:
        assert f"# HELP {family.name} {family.text}\n# TYPE {family.name} {family.kind}\n" in text.decode()
        labels = [{family.labels[0]: value} for value in VALUES[family.labels[0]]] if family.labels else [{}]
        assert found[family.name] == labels


def test_what_is_not_known_has_no_series_and_its_check_no_success() -> None:
    text = exposition([Outcome("audit", LINE, looked=False), Outcome("backup", LINE)], AT)
    assert set(series(text)) == OWN
    assert b'appliance_upkeep_check_success{check="audit"} 0.0\n' in text
    assert b'appliance_upkeep_check_success{check="backup"} 1.0\n' in text


def test_number_of_seconds_keeps_its_last_digit() -> None:
    text = exposition([], 1_795_406_734)
    (family,) = text_string_to_metric_families(text.decode())
    assert family.samples[0].value == 1_795_406_734


@pytest.mark.parametrize(
    "sample",
    [
        Sample("appliance_audit_intact", 1, ("homework",)),
        Sample("appliance_egress_dropped_bytes_total", 1),
        Sample("appliance_homework", 1),
    ],
)
def test_series_of_an_unknown_name_or_of_other_labels_is_not_written(sample: Sample) -> None:
    with pytest.raises(ValueError, match="appliance_"):
        exposition([Outcome("audit", LINE, (sample,))], AT)
