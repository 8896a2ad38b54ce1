"""The table of metrics: names and labels that stay what they are."""

from __future__ import annotations

import re

import pytest

from appliance import errors
from appliance.core.metric import Family
from appliance.gateway.families import ENGINE_BUSY, FAMILIES, reasons


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_follow_prometheus_conventions(family: Family) -> None:
    assert re.fullmatch(r"(appliance|process)_[a-z_]+", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert family.kind != "histogram" or family.name.endswith("_seconds")
    assert bool(family.buckets) == (family.kind == "histogram")
    assert list(family.buckets) == sorted(set(family.buckets))
    assert family.text.endswith(".")


def test_no_name_is_given_twice() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_no_label_is_one_that_a_client_could_fill() -> None:
    assert {label for family in FAMILIES for label in family.labels} == {
        "route", "code", "app", "reason", "class", "kind", "version",
    }  # fmt: skip


def test_bars_of_the_design_are_bounds_of_buckets() -> None:
    bounds = {family.name: family.buckets for family in FAMILIES}
    assert {0.0005, 0.003} <= set(bounds["appliance_gateway_seconds"])
    assert 0.025 in bounds["appliance_time_between_tokens_seconds"]  # 40 tokens a second


def test_every_error_a_client_can_get_is_a_reason_and_no_operators_error_is() -> None:
    assert {"rate_limit_exceeded", "internal_error", "engine_unavailable", ENGINE_BUSY} <= set(reasons())
    assert errors.PortTaken.key not in reasons()
    assert errors.OperatorError.key not in reasons()
