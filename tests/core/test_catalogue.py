"""Which names an app may use, whatever the engine's listing looks like."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.catalogue import Catalogue, Model
from appliance.errors import EngineUnavailable, ModelNotFound, PermissionDenied

ALIASES = {"gpt-4o": "", "gpt-4": "small", "gpt-3": "gone"}
TWO = Catalogue((Model("large", 8192, 1), Model("small", 0, 2)), ALIASES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "id", "max_model_len", "created"]), inner),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("name", "served"), [("large", "large"), ("small", "small"), ("gpt-4o", "large"), ("gpt-4", "small")]
)
def test_name_or_alias_means_a_served_model(name: str, served: str) -> None:
    assert TWO.resolve(name) == served


@pytest.mark.parametrize("name", ["gpt-9", "gpt-3", "", "LARGE"])
def test_any_other_name_is_not_found(name: str) -> None:
    with pytest.raises(ModelNotFound):
        TWO.resolve(name)


def test_served_name_wins_over_an_alias_of_the_same_name() -> None:
    catalogue = Catalogue((Model("gpt-4o", 0, 0), Model("small", 0, 0)), {"gpt-4o": "small"})
    assert catalogue.resolve("gpt-4o") == "gpt-4o"
    assert [card["id"] for card in catalogue.cards()] == ["gpt-4o", "small"]


def test_before_the_engine_has_spoken_every_name_has_to_wait() -> None:
    with pytest.raises(EngineUnavailable):
        Catalogue((), ALIASES).resolve("gpt-4o")


def test_engine_without_a_listing_takes_names_as_they_are() -> None:
    assert Catalogue.from_engine(None, ALIASES).resolve("anything") == "anything"


def test_card_of_an_alias_names_its_model_and_length() -> None:
    cards = {card["id"]: card for card in TWO.cards()}
    assert set(cards) == {"large", "small", "gpt-4o", "gpt-4"}
    assert cards["gpt-4o"]["root"] == "large"
    assert cards["gpt-4o"]["max_model_len"] == 8192
    assert cards["gpt-4"]["max_model_len"] is None


def test_odd_entries_of_a_listing_are_left_out() -> None:
    listing = {"data": [{"id": "good", "max_model_len": "x", "created": -1}, {"id": 5}, "text", None, {}]}
    assert Catalogue.from_engine(listing, {}).models == (Model("good", 0, 0),)


@given(JSON)
def test_any_listing_gives_a_catalogue_that_can_be_shown(listing: Any) -> None:
    assert orjson.dumps(Catalogue.from_engine(listing, ALIASES).cards())


@given(st.dictionaries(st.sampled_from(["object", "max_model_len", "created", "x"]), JSON))
def test_any_entry_gives_a_card_that_can_be_shown(entry: dict[str, Any]) -> None:
    catalogue = Catalogue.from_engine({"data": [{**entry, "id": "m"}]}, ALIASES)
    assert orjson.loads(orjson.dumps(catalogue.cards()))[0]["id"] == "m"


def test_a_key_without_rights_of_its_own_sees_the_same_catalogue() -> None:
    assert TWO.narrowed(None, {}) is TWO


@pytest.mark.parametrize(
    ("allowed", "may", "may_not"),
    [
        ({"small"}, {"small", "gpt-4"}, {"large", "gpt-4o"}),  # a model, by any of its names
        ({"gpt-4o"}, {"gpt-4o"}, {"large", "small", "gpt-4"}),  # an alias, whatever it means later
        (set(), set(), {"large", "small", "gpt-4", "gpt-4o"}),
    ],
)
def test_a_key_may_use_and_sees_its_models_only(allowed: set[str], may: set[str], may_not: set[str]) -> None:
    narrow = TWO.narrowed(frozenset(allowed), {})
    assert {card["id"] for card in narrow.cards()} == may
    for name in may:
        assert narrow.resolve(name) == TWO.resolve(name)
    for name in may_not:
        with pytest.raises(PermissionDenied):
            narrow.resolve(name)
    with pytest.raises(ModelNotFound):
        narrow.resolve("gpt-9")


def test_a_keys_own_alias_comes_before_that_of_all_and_grants_nothing() -> None:
    assert TWO.narrowed(None, {"gpt-4": "large"}).resolve("gpt-4") == "large"
    with pytest.raises(PermissionDenied):
        TWO.narrowed(frozenset({"small"}), {"mine": "large"}).resolve("mine")


def test_rights_hold_before_an_engine_that_lists_nothing() -> None:
    narrow = Catalogue((), {}, is_open=True).narrowed(frozenset({"a"}), {})
    assert narrow.resolve("a") == "a"
    with pytest.raises(PermissionDenied):
        narrow.resolve("b")


def test_the_context_of_a_model_is_known_or_zero() -> None:
    assert [TWO.context_tokens(name) for name in ("large", "small", "none")] == [8192, 0, 0]
