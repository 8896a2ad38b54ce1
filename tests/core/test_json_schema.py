"""A client's schema is accepted, or refused by the place; it never does anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core import json_schema
from appliance.core.json_schema import MAX_COUNT, SchemaLimits
from appliance.errors import InvalidRequest

LIMITS = SchemaLimits(max_bytes=4096, max_depth=6, max_properties=20)
WHERE = "response_format.json_schema.schema"
KEYWORDS = st.sampled_from(
    [
        "type",
        "enum",
        "const",
        "properties",
        "items",
        "anyOf",
        "allOf",
        "$defs",
        "definitions",
        "$ref",
        "pattern",
        "required",
        "minItems",
        "maximum",
        "format",
        "additionalProperties",
        "not",
        "if",
        "title",
        "uniqueItems",
    ]
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["object", "string", "#", "#/$defs/a", "#/$defs/b", "#/definitions/a", "date", "^[a-z]+$"])
)
NAMES = KEYWORDS | st.sampled_from(["a", "b"]) | st.text(max_size=4)
ANY = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)


def refusal(schema: Any, limits: SchemaLimits = LIMITS) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        json_schema.check(schema, limits, WHERE)
    return caught.value


@given(ANY | st.dictionaries(KEYWORDS, ANY, max_size=5))
def test_any_json_is_accepted_or_refused_by_its_place(schema: Any) -> None:
    try:
        json_schema.check(schema, LIMITS, WHERE)
    except InvalidRequest as err:
        refusal = err
    else:
        return
    assert (refusal.param or "").startswith(WHERE)
    assert len(str(refusal)) < 4096


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from("abc").map(lambda name: {"$ref": f"#/$defs/{name}"})))
def test_chain_of_references_is_refused_exactly_where_it_has_no_end(definitions: dict[str, Any]) -> None:
    schema = {"$defs": definitions, "type": "object"}
    endless = bool(definitions)  # a definition that is only a reference ends nowhere, or in one that is not there
    if endless:
        assert refusal(schema).param
    else:
        json_schema.check(schema, LIMITS, WHERE)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": False},
        {"type": "array", "items": {"$ref": "#"}, "maxItems": 3},
        {
            "$defs": {"n": {"properties": {"next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}}}},
            "$ref": "#/$defs/n",
        },
        {"definitions": {"a": {"enum": [1, None, "x"]}}, "properties": {"a": {"$ref": "#/definitions/a"}}},
        {"type": "string", "pattern": "^[가-힣]+$", "maxLength": 20},
        {"type": "string", "pattern": r"^\d{1,3}$", "format": "date"},
        {"type": "string", "pattern": "^[a-z]{1,128}$"},
        {"properties": {"$ref": {"type": "string"}, "type": {"const": {"$ref": "not a reference"}}}},
        {"prefixItems": [True, {"minimum": -1.5, "multipleOf": 2}], "uniqueItems": True, "title": "t"},
    ],
)
def test_schema_of_an_honest_app_is_accepted(schema: Any) -> None:
    refusal = None
    try:
        json_schema.check(schema, LIMITS, WHERE)
    except InvalidRequest as err:
        refusal = err
    assert refusal is None


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        (None, ""),
        ([], ""),
        ("x", ""),
        ({"type": "thing"}, ".type"),
        ({"type": []}, ".type"),
        ({"type": [{}]}, ".type"),
        ({"enum": []}, ".enum"),
        ({"required": "a"}, ".required"),
        ({"required": [1]}, ".required"),
        ({"properties": []}, ".properties"),
        ({"properties": {"a": 5}}, ".properties[0]"),
        ({"properties": {"a": {}, "b": {"type": 1}}}, ".properties[1].type"),
        ({"items": [{}]}, ".items"),
        ({"anyOf": []}, ".anyOf"),
        ({"anyOf": [{}, {"not": {}}]}, ".anyOf[1].not"),
        ({"minItems": -1}, ".minItems"),
        ({"maxItems": MAX_COUNT + 1}, ".maxItems"),
        ({"maxLength": True}, ".maxLength"),
        ({"maximum": "1"}, ".maximum"),
        ({"maximum": float("inf")}, ".maximum"),
        ({"multipleOf": float("nan")}, ".multipleOf"),
        ({"uniqueItems": 1}, ".uniqueItems"),
        ({"title": 5}, ".title"),
        ({"format": "regex"}, ".format"),
        ({"pattern": "(a+)+$"}, ".pattern"),
        ({"pattern": "a|b"}, ".pattern"),
        ({"pattern": "[a-z]{1,5000}"}, ".pattern"),
        ({"pattern": "^[a-z]{1,129}$"}, ".pattern"),
        ({"pattern": "[a-z]{129}"}, ".pattern"),
        ({"patternProperties": {}}, ".patternProperties"),
        ({"$ref": "http://elsewhere/schema"}, ".$ref"),
        ({"$ref": "#/$defs/none"}, ".$ref"),
        ({"$ref": "#"}, ".$ref"),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, ".anyOf[0].$ref"),
        ({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, ".$defs[0].allOf[0].$ref"),
        ({"const": 2**64}, ""),
        ({"$" + "x" * 50: 1}, ""),
        ({"나": 1}, ""),
    ],
)
def test_refusal_names_the_place(schema: Any, place: str) -> None:
    assert refusal(schema).param == WHERE + place


def test_loop_over_two_definitions_is_refused() -> None:
    loop = {"$defs": {"a": {"oneOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
    assert "leads back to itself" in str(refusal(loop))


def test_size_depth_and_number_of_properties_are_capped() -> None:
    assert "bytes" in str(refusal({"title": "x" * 5000}))
    deep: dict[str, Any] = {}
    for _ in range(LIMITS.max_depth):
        deep = {"items": deep}
    assert "nested deeper" in str(refusal(deep))
    json_schema.check(deep["items"], LIMITS, WHERE)
    wide = {"properties": {f"p{i}": {} for i in range(LIMITS.max_properties)}}
    json_schema.check(wide, LIMITS, WHERE)
    assert "properties" in str(refusal({"items": {"properties": {"one": {}}}, **wide}))


def test_nesting_beyond_json_is_refused_not_a_crash() -> None:
    nested: Any = {}
    for _ in range(2000):
        nested = {"const": nested}
    assert refusal(nested).param == WHERE


def test_many_different_lengths_are_refused_and_many_alike_are_not() -> None:
    def strings(*lengths: int) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "maxLength": length} for length in lengths]}

    json_schema.check(strings(*[500] * 40), LIMITS, WHERE)
    json_schema.check(strings(256, 512, 1024, 4096), LIMITS, WHERE)
    assert "different" in str(refusal(strings(256, 512, 1024, 2048, 4096)))
    assert "different" in str(refusal(strings(*range(60))))
