"""Golden questions: what a model must answer right before it serves.

A bundle's ``golden.json``::

    {"format": 1, "questions": [{
        "id": "carry-ko",
        "messages": [{"role": "user", "content": "47 + 38 = 75 …"}],
        "max_tokens": 200,
        "response_format": {"type": "json_object"},
        "checks": [{"name": "contains", "value": "85"}]}]}

A check is a name and a value; what it means is said by a checker of that name.
The checkers here need no domain; others are handed in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.errors import ModelUnusable

#: ``checker(answer, value)``: what is wrong with the answer, as a phrase after "the answer"; empty if nothing is.
Checker = Callable[[str, Any], str]
FILE_NAME = "golden.json"
FORMAT = 1
MAX_QUESTIONS = 200
_MAX_TOKENS = 4096
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_NAMES = frozenset({"id", "messages", "max_tokens", "response_format", "checks"})


@dataclass(frozen=True)
class Check:
    """One demand on an answer: name of a checker, and the value it is given."""

    name: str
    value: Any


@dataclass(frozen=True)
class Question:
    """One golden question.

    Args:
        id: to name it in a report.
        messages: as in a chat request.
        max_tokens: most tokens of the answer.
        response_format: as in a chat request, or None.
        checks: all must hold.
    """

    id: str
    messages: tuple[dict[str, str], ...]
    max_tokens: int
    response_format: dict[str, Any] | None
    checks: tuple[Check, ...]

    def request(self, model: str) -> dict[str, Any]:
        """The chat request that asks it, without chance."""
        asked: dict[str, Any] = {
            "model": model,
            "messages": list(self.messages),
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "seed": 0,
        }
        return asked if self.response_format is None else {**asked, "response_format": self.response_format}

    def failure(self, answer: str, checkers: Mapping[str, Checker]) -> str:
        """What is wrong with an answer, as a phrase after "the answer"; empty if it passes."""
        for check in self.checks:
            wrong = checkers[check.name](answer, check.value)
            if wrong:
                return wrong
        return ""


def parse(document: Any, known: frozenset[str]) -> tuple[Question, ...]:
    """Read a ``golden.json``.

    Args:
        document: parsed JSON.
        known: names of the checkers there are.

    Raises:
        ModelUnusable: not of that form, or it asks for a checker that is not known.
    """
    try:
        entries = document["questions"] if document["format"] == FORMAT else []
        questions = tuple(_question(entry) for entry in entries[: MAX_QUESTIONS + 1])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelUnusable("The bundle's golden questions are not of the right form.") from None
    if not 0 < len(questions) <= MAX_QUESTIONS:
        raise ModelUnusable(f"The bundle must have 1 to {MAX_QUESTIONS} golden questions of format {FORMAT}.")
    unknown = sorted({check.name for question in questions for check in question.checks} - known)
    if unknown:
        raise ModelUnusable(
            f"The bundle's golden questions ask for a check that this appliance does not know: {unknown[0]!r}.",
            remedy="Update the appliance first.",
        )
    return questions


def _question(entry: dict[str, Any]) -> Question:
    messages = tuple({"role": str(m["role"]), "content": str(m["content"])} for m in entry["messages"])
    checks = tuple(Check(str(check["name"]), check["value"]) for check in entry["checks"])
    limit, form = entry.get("max_tokens", 256), entry.get("response_format")
    sound = (
        set(entry) <= _NAMES
        and bool(_ID.fullmatch(entry["id"]))
        and messages
        and checks
        and type(limit) is int
        and 0 < limit <= _MAX_TOKENS
        and (form is None or isinstance(form, dict))
    )
    if not sound:
        raise ValueError
    return Question(entry["id"], messages, limit, form, checks)


def _contains(answer: str, value: Any) -> str:
    return "" if str(value) in answer else f"does not contain {str(value)!r}"


def _json_has(answer: str, value: Any) -> str:
    """``value`` is an object; the answer must be one with at least these members."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return "is not JSON"
    if not isinstance(document, dict) or not isinstance(value, dict):
        return "is no JSON object"
    wrong = sorted(name for name, wanted in value.items() if document.get(name) != wanted)
    return f"has another {wrong[0]!r} than it must" if wrong else ""


#: Checkers that need to know nothing of the domain.
CHECKERS: Mapping[str, Checker] = {"contains": _contains, "json_has": _json_has}
