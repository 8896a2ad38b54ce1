"""Taking the JSON object out of what a model said."""

from __future__ import annotations

import json
from dataclasses import dataclass

_LIMIT = 8000
_STARTS = 20


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer, read.

    Attributes:
        fields: the text fields of the object, None if there is no object; numbers are turned to text.
        bare: whether the whole text was one JSON object and nothing else.
    """

    fields: dict[str, str] | None
    bare: bool


def _object(value: object) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    scalar = {key: item for key, item in value.items() if isinstance(item, str | int | float)}
    return {key: item if isinstance(item, str) else json.dumps(item) for key, item in scalar.items()}


def _whole(text: str) -> dict[str, str] | None:
    try:
        return _object(json.loads(text))
    except (ValueError, RecursionError):
        return None


def read(text: str) -> Reply:
    """The object in a reply: the text itself, or the first one inside it (a code fence, words around it)."""
    text = text[:_LIMIT].strip()
    whole = _whole(text)
    if whole is not None:
        return Reply(whole, bare=True)
    decoder = json.JSONDecoder()
    start = text.find("{")
    for _ in range(_STARTS):
        if start < 0:
            break
        try:
            fields = _object(decoder.raw_decode(text, start)[0])
        except (ValueError, RecursionError):
            fields = None
        if fields is not None:
            return Reply(fields, bare=False)
        start = text.find("{", start + 1)
    return Reply(None, bare=False)
