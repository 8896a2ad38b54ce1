"""Real nft is asked about real rules, in a network namespace of the test's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from appliance.core.egress import TABLE, Accounts, Traffic, ruleset
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


def run(*words: str, text: str | None = None) -> None:
    subprocess.run(words, input=text, text=True, check=True, capture_output=True)


def load(inside: tuple[str, ...], rules: str = RULES) -> None:
    run(*inside, "nft", "-f", "-", text=rules)


def look(inside: tuple[str, ...]) -> Outcome:
    return egress.look(RULES, (*inside, "nft"))


def values(outcome: Outcome) -> dict[str, float]:
    return {
        "/".join((sample.name.removeprefix("appliance_egress_"), *sample.labels)): float(sample.value)
        for sample in outcome.samples
    }


def test_planned_rules_are_loaded_and_count_nothing(inside: tuple[str, ...]) -> None:
    load(inside)
    outcome = look(inside)
    assert (outcome.findings[0].state, outcome.looked) == ("good", True)
    assert values(outcome) == {
        "rules_loaded": 1,
        **{f"dropped_{unit}_total/{who}": 0 for unit in ("packets", "bytes")
           for who in ("engine", "gateway", "exporter", "other")},
    }  # fmt: skip


def test_dropped_datagram_is_counted_by_whose_it_was(inside: tuple[str, ...]) -> None:
    run(*inside, "ip", "link", "add", "out", "type", "veth", "peer", "wire")
    run(*inside, "ip", "address", "add", "203.0.113.1/24", "dev", "out")
    for end in ("out", "wire"):
        run(*inside, "ip", "link", "set", end, "up")
    load(inside)
    before = values(look(inside))
    run(*inside, *SEND)
    run(*inside, "setpriv", "--reuid=nobody", "--clear-groups", *SEND)
    outcome = look(inside)
    after = values(outcome)
    assert after["dropped_packets_total/engine"] == 1  # no other process is nobody's in there
    assert after["dropped_bytes_total/engine"] == 20 + 8 + len("homework")
    assert after["dropped_packets_total/other"] > before["dropped_packets_total/other"]
    assert after["rules_loaded"] == 1
    assert outcome.findings[0].state == "warning"
    assert "but engine tried" in str(outcome.findings[0].remedy)


def test_rules_of_other_settings_are_not_the_planned_ones(inside: tuple[str, ...]) -> None:
    load(inside, ruleset(Traffic(("0.0.0.0/1",)), Accounts("nobody", "daemon", "bin")))
    outcome = look(inside)
    assert (outcome.findings[0].state, outcome.looked, values(outcome)["rules_loaded"]) == ("bad", True, 0)


def test_rule_added_by_hand_is_found_under_the_right_comment(inside: tuple[str, ...]) -> None:
    load(inside)
    run(*inside, "nft", "insert", "rule", *TABLE.split(), "output", "udp", "dport", "53", "accept")
    outcome = look(inside)
    assert (outcome.findings[0].state, outcome.looked, values(outcome)["rules_loaded"]) == ("bad", True, 0)
    assert "udp dport 53 accept" in outcome.findings[0].text.english


#: Each lets something out, or in another way, beside every rule of the appliance's table.
SOMEBODYS = {
    "netdev leak": "table netdev leak { chain in { type filter hook ingress device wire priority 0; dup to wire; }; }",
    "ip nat": "table ip nat { chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 redirect to :4444; }; }",
    "inet other": "table inet other { }",
}


@pytest.mark.parametrize("name", SOMEBODYS)
def test_table_of_somebody_else_is_found_and_goes_with_a_load_of_the_whole(inside: tuple[str, ...], name: str) -> None:
    run(*inside, "ip", "link", "add", "out", "type", "veth", "peer", "wire")
    load(inside)
    load(inside, SOMEBODYS[name])
    outcome = look(inside)
    assert (outcome.findings[0].state, outcome.looked, values(outcome)["rules_loaded"]) == ("bad", True, 0)
    assert outcome.findings[0].text.english.endswith(f"are loaded: {name}")
    assert "systemctl reload nftables" in str(outcome.findings[0].remedy)
    load(inside, "flush ruleset\n" + RULES)  # as /etc/nftables.conf has it
    assert values(look(inside))["rules_loaded"] == 1


def test_box_without_the_table_says_0(inside: tuple[str, ...]) -> None:
    outcome = look(inside)
    assert (outcome.findings[0].state, outcome.looked, values(outcome)) == ("bad", False, {"rules_loaded": 0})


def test_user_without_the_right_gets_no_verdict(inside: tuple[str, ...]) -> None:
    load(inside)
    outcome = egress.look(RULES, (*inside, "setpriv", "--reuid=nobody", "--clear-groups", "nft"))
    assert (outcome.findings[0].state, outcome.looked, outcome.samples) == ("unknown", False, ())
    assert "may not read" in outcome.findings[0].text.english


def test_box_without_nft_says_0() -> None:
    outcome = egress.look(RULES, ("no-such-nft",))
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
def test_nft_that_hangs_or_fails_is_no_verdict(words: tuple[str, ...], reason: str) -> None:
    outcome = egress.look(RULES, words, deadline_seconds=2.0)  # what it adds these take no notice of
    assert (outcome.looked, outcome.samples) == (False, ())
    assert reason in outcome.findings[0].text.english
