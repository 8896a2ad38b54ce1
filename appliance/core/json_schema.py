"""What a client's JSON schema may be before a grammar is compiled from it.

A schema turns into a grammar inside the engine, and a hostile one takes it
down (CVE-2025-48942, -48943, -29770, GHSA-vrq3-r879-7m65). So it is walked
here first: known keywords with well-typed values, bounded bytes, depth and
properties, references only within the schema, and no client regular
expressions but a safe subset.

Source of the keywords: JSON Schema draft 2020-12, validation vocabulary.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from appliance.errors import InvalidRequest

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_MAPS_OF_SCHEMAS = frozenset({"$defs", "definitions", "properties"})
_LISTS_OF_SCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMAS = frozenset({"additionalProperties", "items"})
_COUNTS = frozenset({"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"})
_NUMBERS = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})
_TEXTS = frozenset({"$comment", "$id", "$schema", "description", "title"})
_FREE = frozenset({"const", "default", "deprecated", "examples", "readOnly", "writeOnly", "nullable"})
_FORMATS = frozenset({"date", "date-time", "duration", "email", "ipv4", "ipv6", "time", "uri", "uuid"})
# Beyond this a counted repetition makes the grammar explode.
MAX_COUNT = 4096
# One character class or literal, repeated a bounded or plain number of times: no groups, no
# alternation, no backreference, so no blow-up.
_SAFE_PATTERN = re.compile(r"\^?(?:\[[\w\s.,:+\-가-힣]+\]|\\[dw]|[\w .,:\-])(?:[+*?]|\{\d{1,3}(?:,\d{1,3})?\})?\$?")
_PATTERN_COUNT = re.compile(r"\{(\d+)(?:,(\d+))?\}\$?$")
# Above it xgrammar 0.1 gives up on the grammar in the middle of its work.
MAX_PATTERN_COUNT = 128
# Compiling a string's length bound takes about 4 ms a character on two cores, up to some 256 of them, for each
# bound that differs (measured with xgrammar 0.1). All together stay far below the time at which the engine counts
# as hung.
LENGTH_COST_CHARACTERS = 256
MAX_LENGTH_COST_CHARACTERS = 1024
_REFERENCE = re.compile(r"#(?:/(?:\$defs|definitions)/[A-Za-z0-9_.\-]{1,64})?")
# What may be said back of a keyword that a client made up.
_KEYWORD = re.compile(r"\$?[A-Za-z_][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class SchemaLimits:
    """Caps: JSON text in bytes, nesting in levels, properties over all levels."""

    max_bytes: int
    max_depth: int
    max_properties: int


def check(schema: Any, limits: SchemaLimits, where: str) -> None:
    """Accept a schema or refuse it naming the place.

    Args:
        schema: the parsed JSON.
        limits: caps on bytes, depth and properties.
        where: path of the schema in the request, for the message.

    Raises:
        InvalidRequest: with ``param`` set to the place.
    """
    if not isinstance(schema, dict):
        raise _refusal(where, "must be a JSON object")
    if _size_bytes(schema, where) > limits.max_bytes:
        raise _refusal(where, f"is larger than {limits.max_bytes} bytes")
    properties = 0
    references: list[tuple[str, str]] = []
    lengths: set[tuple[int, int]] = set()
    queue: list[tuple[Any, str, int]] = [(schema, where, 1)]
    while queue:
        node, place, depth = queue.pop()
        if isinstance(node, bool):
            continue
        if not isinstance(node, dict):
            raise _refusal(place, "must be a schema: a JSON object or a boolean")
        if depth > limits.max_depth:
            raise _refusal(place, f"is nested deeper than {limits.max_depth} levels")
        declared = node.get("properties")
        properties += len(declared) if isinstance(declared, dict) else 0
        if properties > limits.max_properties:
            raise _refusal(place, f"brings the schema over {limits.max_properties} properties")
        for keyword, value in node.items():
            queue.extend((inner, path, depth + 1) for inner, path in _children(keyword, value, place))
        if "$ref" in node:
            references.append((node["$ref"], f"{place}.$ref"))
        _add_length(lengths, node, place)
    _check_references(schema, references)


def _add_length(lengths: set[tuple[int, int]], node: dict[str, Any], place: str) -> None:
    """Count a length bound that differs from those so far; refuse where all together take too long to compile."""
    lengths.add((node.get("minLength", 0), node.get("maxLength", 0)))
    if sum(min(max(bound), LENGTH_COST_CHARACTERS) for bound in lengths) > MAX_LENGTH_COST_CHARACTERS:
        raise _refusal(place, "brings the schema over the number of different minLength and maxLength that is served")


def _size_bytes(schema: dict[str, Any], where: str) -> int:
    try:
        return len(orjson.dumps(schema))
    except orjson.JSONEncodeError:
        raise _refusal(where, "holds a number over 64 bits, or text or nesting that JSON cannot carry") from None


def _children(keyword: str, value: Any, place: str) -> Iterator[tuple[Any, str]]:
    """The schemas inside one keyword; refuses a keyword that is unknown or ill-typed."""
    here = f"{place}.{keyword}" if _KEYWORD.fullmatch(keyword) else place
    if keyword in _MAPS_OF_SCHEMAS:
        if not isinstance(value, dict):
            raise _refusal(here, "must be a JSON object")
        for index, inner in enumerate(value.values()):
            yield inner, f"{here}[{index}]"
    elif keyword in _LISTS_OF_SCHEMAS:
        if not isinstance(value, list) or not value:
            raise _refusal(here, "must be a list of schemas that is not empty")
        for index, inner in enumerate(value):
            yield inner, f"{here}[{index}]"
    elif keyword in _SCHEMAS:
        yield value, here
    else:
        _check_plain(keyword, value, here)


def _check_plain(keyword: str, value: Any, here: str) -> None:
    problem = ""
    if keyword in {"type", "enum", "required"}:
        problem = _check_list_rule(keyword, value)
    elif keyword in _COUNTS:
        fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT
        problem = "" if fits else f"must be a whole number from 0 to {MAX_COUNT}"
    elif keyword in _NUMBERS:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        problem = "" if fits else "must be a number"
        if keyword == "multipleOf" and fits and value <= 0:
            problem = "must be above 0"
    elif keyword == "uniqueItems":
        problem = "" if isinstance(value, bool) else "must be true or false"
    elif keyword in _TEXTS:
        problem = "" if isinstance(value, str) else "must be text"
    elif keyword in {"$ref", "pattern", "format"}:
        problem = _check_text_rule(keyword, value)
    elif keyword not in _FREE:
        problem = "is a keyword that is refused here"
    if problem:
        raise _refusal(here, problem)


def _check_list_rule(keyword: str, value: Any) -> str:
    if keyword == "type":
        names = value if isinstance(value, list) else [value]
        return "" if names and all(isinstance(name, str) and name in _TYPES for name in names) else "is not a JSON type"
    if keyword == "enum":
        return "" if isinstance(value, list) and value else "must be a list that is not empty"
    texts = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return "" if texts else "must be a list of property names"


def _check_text_rule(keyword: str, value: Any) -> str:
    if not isinstance(value, str):
        return "must be text"
    if keyword == "$ref":
        return "" if _REFERENCE.fullmatch(value) else "may only point to #/$defs/… of the same schema"
    if keyword == "format":
        return "" if value in _FORMATS else "is a format that is not known here"
    if not _SAFE_PATTERN.fullmatch(value):
        return "is a regular expression beyond the safe subset"
    counted = _PATTERN_COUNT.search(value)
    too_many = counted and max(int(count or 0) for count in counted.groups()) > MAX_PATTERN_COUNT
    return f"repeats more than {MAX_PATTERN_COUNT} times" if too_many else ""


def _check_references(schema: dict[str, Any], references: list[tuple[str, str]]) -> None:
    """Every reference has a target, and none leads back to itself without passing a property or item."""
    targets: dict[str, Any] = {"#": schema}
    for table in ("$defs", "definitions"):
        targets |= {f"#/{table}/{name}": inner for name, inner in schema.get(table, {}).items()}
    for reference, place in references:
        if reference not in targets:
            raise _refusal(place, "is a reference without a definition")
    finished: set[str] = set()
    for reference, place in references:
        trail: list[tuple[str, Iterator[str]]] = [(reference, _alternatives(targets[reference]))]
        while trail:
            following = next(trail[-1][1], None)
            if following is None:
                finished.add(trail.pop()[0])
            elif any(following == passed for passed, _ in trail):
                raise _refusal(place, "is a reference that only leads back to itself")
            elif following not in finished:
                trail.append((following, _alternatives(targets[following])))


def _alternatives(node: Any) -> Iterator[str]:
    """The references that stand in for this schema itself, not for a property or item of it."""
    stack = [node]
    while stack:
        at = stack.pop()
        if isinstance(at, dict):
            if "$ref" in at:
                yield at["$ref"]
            for keyword in ("allOf", "anyOf", "oneOf"):
                stack.extend(at.get(keyword, []))


def _refusal(place: str, problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"The JSON schema at {place} {problem}.", remedy="docs/api.md lists what a schema may hold.", param=place
    )
