"""Samples and the text Prometheus reads."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.exporter.metrics import Family, render, states

HEAT = Family("heat_celsius", "gauge", "How hot.", ("gpu", "sensor"))


def test_what_is_not_known_is_absent_not_zero():
    assert list(HEAT.of(None, "0", "die")) == []
    assert [sample.value for sample in HEAT.of(0, "0", "die")] == [0]


def test_units_are_changed_without_noise():
    assert [sample.value for sample in HEAT.of(74845, "0", "die", per=1000)] == [74.845]
    assert [sample.value for sample in HEAT.of(2619, "0", "die", times=1e6)] == [2_619_000_000]


def test_large_whole_numbers_are_written_in_full_and_fractions_exactly():
    text = render([*HEAT.of(85520809984, "0", "a"), *HEAT.of(0.1, "0", "b")]).decode()
    assert 'heat_celsius{gpu="0",sensor="a"} 85520809984\n' in text
    assert 'heat_celsius{gpu="0",sensor="b"} 0.1\n' in text


def test_odd_label_values_come_back_as_they_were():
    odd = 'a "card"\\ with\na line'
    (family,) = text_string_to_metric_families(render(HEAT.of(1, "0", odd)).decode())
    assert family.samples[0].labels["sensor"] == odd


def test_a_family_is_written_once_however_its_samples_come():
    cold = Family("cold", "gauge", "How cold.", ())
    text = render([*HEAT.of(1, "0", "a"), *cold.of(2), *HEAT.of(3, "1", "a")]).decode()
    assert text.count("# TYPE heat_celsius gauge") == 1
    assert text.splitlines()[-2:] == ["# TYPE cold gauge", "cold 2"]


def test_states_are_all_there_whichever_holds():
    assert [sample.value for sample in states(HEAT, "0", ("low", "high"), "high")] == [0, 1]
    assert [sample.value for sample in states(HEAT, "0", ("low", "high"), None)] == [0, 0]


def test_a_sample_without_all_its_labels_is_a_fault_of_ours():
    with pytest.raises(ValueError, match="zip"):
        render(HEAT.of(1, "0"))
