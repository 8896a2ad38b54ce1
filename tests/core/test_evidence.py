"""Claims about ``core.evidence``."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from appliance.core import evidence
from appliance.core.controls import BY_KEY
from appliance.core.evidence import Evidence, Outcome

GOOD = Evidence(
    1_795_406_848.0, "box", "0.1.0", "ab" * 32, {key: evidence.passed("as planned", "계획대로") for key in BY_KEY}
)


def broken(**outcomes: evidence.Result) -> Evidence:
    changed = {name.replace("__", "."): result for name, result in outcomes.items()}
    return replace(GOOD, results={**GOOD.results, **changed})


def test_the_document_has_every_control_with_its_result_reason_and_proof() -> None:
    values = json.loads(json.dumps(evidence.document(GOOD)))
    assert [control["key"] for control in values["controls"]] == list(BY_KEY)
    assert values["summary"] == {"PASS": 40, "FAIL": 0, "UNKNOWN": 0, "NOT APPLICABLE": 0}
    first = values["controls"][0]
    assert first["reason"] == {"english": "as planned", "korean": "계획대로"}
    assert "nft" in first["proof"]
    assert "not legal advice" in values["note"]["english"]
    assert values["time"] == "2026-11-23 04:07:28 UTC"


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (evidence.failed("x", "x"), Outcome.FAIL),
        (evidence.unknown("x", "x"), Outcome.UNKNOWN),
        (evidence.not_applicable("x", "x"), Outcome.PASS),
    ],
)
def test_a_requirement_is_as_good_as_the_worst_of_its_controls(result: evidence.Result, outcome: Outcome) -> None:
    iso = evidence.requirements(broken(backup__fresh=result))["ISO/IEC 27001:2022"]
    found = {one.item: one for one in iso}
    assert found["8.24"].outcome is outcome
    assert found["8.15"].outcome is Outcome.PASS


def test_a_requirement_without_a_control_has_no_outcome() -> None:
    found = {one.item: one for one in evidence.requirements(GOOD)["ISMS-P"]}
    assert (found["2.11.4"].outcome, found["2.11.4"].keys) == (None, ())


def test_a_control_without_a_check_or_with_two_is_a_mistake() -> None:
    pairs = list(GOOD.results.items())
    assert evidence.complete(pairs) == GOOD.results
    with pytest.raises(ValueError, match=r"host\.users"):
        evidence.complete(pairs[:-1])
    with pytest.raises(ValueError, match="differ"):
        evidence.complete([*pairs, pairs[0]])
