"""Claims about ``health.controls.egress``."""

from __future__ import annotations

import pytest

from appliance.core import drop_total, upkeep_note
from appliance.core.evidence import Outcome
from appliance.core.nft_listing import Dropped
from appliance.health.controls import egress
from appliance.health.host import Answer
from tests.health.controls import world as worlds
from tests.health.controls.world import World


@pytest.mark.parametrize("problem", ["nft: Error: No such file or directory", "nft is not installed"])
def test_no_packet_filter_fails(world: World, problem: str) -> None:
    world.answers[worlds.NFT_LIST] = Answer(problem=problem)
    world.answers[worlds.NFT_COUNTERS] = Answer(problem=problem)
    assert egress.rules(world.host()).outcome is Outcome.FAIL
    assert egress.engine_silent(world.host()).outcome is Outcome.FAIL


def test_a_rule_that_somebody_added_by_hand_is_named(world: World) -> None:
    listing = world.answers[worlds.NFT_LIST].text
    door = "ip daddr 203.0.113.7 accept"
    world.answers[worlds.NFT_LIST] = Answer(listing.replace('oif "lo" accept', f'oif "lo" accept\n\t\t{door}', 1))
    assert door in egress.rules(world.host()).reason.english


def test_a_table_of_somebody_else_fails_and_is_named_with_what_to_do(world: World) -> None:
    assert egress.rules(world.host()).outcome is Outcome.PASS
    world.answers[worlds.NFT_TABLES] = worlds.tables(("netdev", "leak"), ("ip", "nat"))
    result = egress.rules(world.host())
    assert result.outcome is Outcome.FAIL
    assert "ip nat, netdev leak; `nft list ruleset`" in result.reason.english
    for answer in (Answer("nonsense"), Answer(problem="nft: Operation not permitted")):
        world.answers[worlds.NFT_TABLES] = answer
        assert egress.rules(world.host()).outcome is Outcome.UNKNOWN


def test_counters_that_are_missing_or_unreadable_are_not_good(world: World) -> None:
    world.answers[worlds.NFT_COUNTERS] = Answer('{"nftables": []}')
    assert egress.engine_silent(world.host()).outcome is Outcome.FAIL
    world.answers[worlds.NFT_COUNTERS] = Answer("nonsense")
    assert egress.engine_silent(world.host()).outcome is Outcome.UNKNOWN


def test_what_the_engine_sent_before_the_rules_were_loaded_anew_is_not_forgotten(world: World) -> None:
    total = drop_total.add(None, {"engine": Dropped(2, 120)}, worlds.NOW, 0.0)
    (world.state / "upkeep" / drop_total.FILE_NAME).write_bytes(upkeep_note.encode(drop_total.to_note(total)))
    result = egress.engine_silent(world.host())
    assert result.outcome is Outcome.FAIL
    assert "2 packets of the engine's user were dropped, counted since" in result.reason.english
    (world.state / "upkeep" / drop_total.FILE_NAME).write_text("nonsense")
    assert egress.engine_silent(world.host()).outcome is Outcome.UNKNOWN
