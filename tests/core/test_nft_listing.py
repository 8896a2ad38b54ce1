"""What nft prints is read. The listings are those of nft 1.0.6."""

from __future__ import annotations

import json

import pytest

from appliance.core.egress import Traffic, digest, ruleset
from appliance.core.nft_listing import Dropped, dropped, loaded_rules, other_tables


def counter(name: str, packets: int = 0, size: int = 0) -> dict[str, object]:
    values = {"family": "inet", "name": name, "table": "appliance", "handle": 2, "packets": packets, "bytes": size}
    return {"counter": values}


def listing(*entries: dict[str, object]) -> str:
    about = {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}
    return json.dumps({"nftables": [about, *entries]})


def test_counters_are_read_by_source_and_others_left_out() -> None:
    text = listing(
        counter("ingress_dropped", 9, 900),
        counter("egress_dropped_other", 2, 120),
        counter("egress_dropped_engine"),
        counter("egress_dropped_somebody", 5, 5),
    )
    assert dropped(text) == {"engine": Dropped(0, 0), "other": Dropped(2, 120)}
    assert dropped(listing()) == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nftables": 5}', '{"nftables": [{"counter": {"name": "x"}}]}'])
def test_what_is_no_listing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not nft's JSON"):
        dropped(text)


def test_every_table_but_the_appliances_own_is_another() -> None:
    names = [("inet", "appliance"), ("netdev", "leak"), ("ip", "appliance"), ("ip", "n\x1bt")]
    text = listing(*({"table": {"family": family, "name": name, "handle": 1}} for family, name in names))
    assert other_tables(text) == ("ip appliance", "ip n?t", "netdev leak")
    assert other_tables(listing({"table": {"family": "inet", "name": "appliance", "handle": 1}})) == ()
    for wrong in ("", "[]", '{"nftables": [{"table": {"name": "x"}}]}'):
        with pytest.raises(ValueError, match="not nft's JSON"):
            other_tables(wrong)


def test_digest_is_read_from_the_comment_of_the_ruleset_that_is_made_from_settings() -> None:
    text = ruleset(Traffic(("192.168.10.0/24",)))
    assert loaded_rules(text) == digest(text)


@pytest.mark.parametrize(
    "line",
    [
        '\tcomment "appliance rules abc"',
        '\tcomment "rules of somebody else"',
        f'\t\tcomment "appliance rules {"ab" * 32}"',
        f'\t\ttcp dport 22 accept comment "appliance rules {"ab" * 32}"',
    ],
)
def test_other_comments_are_no_digest(line: str) -> None:
    assert loaded_rules(f"table inet appliance {{\n{line}\n}}\n") is None
