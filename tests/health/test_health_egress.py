"""Real nft is asked about real rules, in a network namespace of the test's own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.core.egress import TABLE, Accounts, Traffic, digest, ruleset
from appliance.core.upkeep import Outcome
from appliance.health import egress
from tests.fakes.network import namespace

# Users that every Linux has, in place of the appliance's.
RULES = ruleset(Traffic(("192.168.10.0/24",)), Accounts("nobody", "daemon", "bin"))
#: One datagram to a peer that no rule names.
SEND = ("bash", "-c", "printf homework > /dev/udp/203.0.113.9/9 || true")


@pytest.fixture
def inside() -> Iterator[tuple[str, ...]]:
    with namespace() as words:
        yield words


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "egress.json"
    path.write_text(json.dumps({"format": 1, "rules_sha256": digest(RULES)}))
    return path


def run(*words: str, text: str | None = None) -> None:
    subprocess.run(words, input=text, text=True, check=True, capture_output=True)


def load(inside: tuple[str, ...], rules: str = RULES) -> None:
    run(*inside, "nft", "-f", "-", text=rules)


def look(plan: Path, inside: tuple[str, ...]) -> Outcome:
    return egress.look(plan, RULES, (*inside, "nft"))


def values(outcome: Outcome) -> dict[str, float]:
    return {
        "/".join((sample.name.removeprefix("appliance_egress_"), *sample.labels)): float(sample.value)
        for sample in outcome.samples
    }


def test_planned_rules_are_loaded_and_count_nothing(inside: tuple[str, ...], plan: Path) -> None:
    load(inside)
    outcome = look(plan, inside)
    assert (outcome.findings[0].state, outcome.looked) == ("good", True)
    assert values(outcome) == {
        "rules_loaded": 1,
        **{f"dropped_{unit}_total/{who}": 0 for unit in ("packets", "bytes")
           for who in ("engine", "gateway", "exporter", "other")},
    }  # fmt: skip


def test_dropped_datagram_is_counted_by_whose_it_was(inside: tuple[str, ...], plan: Path) -> None:
    run(*inside, "ip", "link", "add", "out", "type", "veth", "peer", "wire")
    run(*inside, "ip", "address", "add", "203.0.113.1/24", "dev", "out")
    for end in ("out", "wire"):
        run(*inside, "ip", "link", "set", end, "up")
    load(inside)
    before = values(look(plan, inside))
    run(*inside, *SEND)
    run(*inside, "setpriv", "--reuid=nobody", "--clear-groups", *SEND)
    outcome = look(plan, inside)
    after = values(outcome)
    assert after["dropped_packets_total/engine"] == 1  # no other process is nobody's in there
    assert after["dropped_bytes_total/engine"] == 20 + 8 + len("homework")
    assert after["dropped_packets_total/other"] > before["dropped_packets_total/other"]
    assert after["rules_loaded"] == 1
    assert outcome.findings[0].state == "warning"
    assert "but engine tried" in str(outcome.findings[0].remedy)


def test_rules_of_other_settings_are_not_the_planned_ones(inside: tuple[str, ...], plan: Path) -> None:
    load(inside, ruleset(Traffic(("0.0.0.0/1",)), Accounts("nobody", "daemon", "bin")))
    outcome = look(plan, inside)
    assert (outcome.findings[0].state, outcome.looked, values(outcome)["rules_loaded"]) == ("bad", True, 0)


def test_rule_added_by_hand_is_found_under_the_right_comment(inside: tuple[str, ...], plan: Path) -> None:
    load(inside)
    run(*inside, "nft", "insert", "rule", *TABLE.split(), "output", "udp", "dport", "53", "accept")
    outcome = look(plan, inside)
    assert (outcome.findings[0].state, outcome.looked, values(outcome)["rules_loaded"]) == ("bad", True, 0)
    assert "udp dport 53 accept" in outcome.findings[0].text.english


def test_settings_that_changed_since_the_rules_were_made_show(inside: tuple[str, ...], plan: Path) -> None:
    load(inside)
    outcome = egress.look(plan, ruleset(Traffic(("10.0.0.0/8",))), (*inside, "nft"))
    assert (outcome.findings[0].state, values(outcome)["rules_loaded"]) == ("bad", 0)
    assert "settings changed" in outcome.findings[0].text.english


def test_rules_without_plan_are_counted_and_not_vouched_for(inside: tuple[str, ...], tmp_path: Path) -> None:
    load(inside)
    outcome = look(tmp_path / "egress.json", inside)
    assert (outcome.findings[0].state, outcome.looked, values(outcome)["rules_loaded"]) == ("unknown", False, 0)
    assert values(outcome)["dropped_packets_total/engine"] == 0


def test_box_without_the_table_says_0(inside: tuple[str, ...], plan: Path) -> None:
    outcome = look(plan, inside)
    assert (outcome.findings[0].state, outcome.looked, values(outcome)) == ("bad", False, {"rules_loaded": 0})


def test_user_without_the_right_gets_no_verdict(inside: tuple[str, ...], plan: Path) -> None:
    load(inside)
    outcome = egress.look(plan, RULES, (*inside, "setpriv", "--reuid=nobody", "--clear-groups", "nft"))
    assert (outcome.findings[0].state, outcome.looked, outcome.samples) == ("unknown", False, ())
    assert "may not read" in outcome.findings[0].text.english


def test_box_without_nft_says_0(plan: Path) -> None:
    outcome = egress.look(plan, RULES, ("no-such-nft",))
    assert (outcome.looked, values(outcome)) == (False, {"rules_loaded": 0})
    assert "not installed" in outcome.findings[0].text.english


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("sh", "-c", "exec sleep 60"), "did not answer within"),
        (("sh", "-c", "exit 3"), "ended with status 3"),
        (("echo",), "cannot be read"),
    ],
)
def test_nft_that_hangs_or_fails_is_no_verdict(plan: Path, words: tuple[str, ...], reason: str) -> None:
    outcome = egress.look(plan, RULES, words, deadline_seconds=2.0)  # what it adds these take no notice of
    assert (outcome.looked, outcome.samples) == (False, ())
    assert reason in outcome.findings[0].text.english
