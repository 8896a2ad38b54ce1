"""Asks a running engine a bundle's golden questions, over its Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.core import golden
from appliance.core.golden import Checker, Question
from appliance.core.manifest import Manifest
from appliance.errors import ModelUnusable

#: Longest wait for one answer: some hundred tokens on a CPU.
ANSWER_SECONDS = 120.0
_MAX_ANSWER_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Failure:
    """A question that was not answered right: its id, and what was wrong, as a phrase after "the answer"."""

    question: str
    what: str


def questions(directory: Path, stated: Manifest, checks: Mapping[str, Checker]) -> tuple[Question, ...]:
    """The questions of a verified bundle; none if it has none.

    Raises:
        ModelUnusable: they are not of the right form.
    """
    if not stated.golden:
        return ()
    try:
        document = json.loads((directory / stated.golden).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelUnusable("The bundle's golden questions cannot be read.") from None
    return golden.parse(document, frozenset(checks))


def ask(
    socket_path: Path,
    model: str,
    asked: tuple[Question, ...],
    checks: Mapping[str, Checker],
    tick: Callable[[int], None] = lambda _: None,
) -> list[Failure]:
    """Ask all of them, one after the other; those that were not answered right.

    Args:
        socket_path: the engine's Unix socket.
        model: its served name.
        asked: the questions.
        checks: checkers by name.
        tick: told how many have been asked.
    """
    failures = []
    for number, question in enumerate(asked):
        tick(number)
        answer = _answer(socket_path, question.request(model))
        wrong = question.failure(answer, checks) if answer is not None else "did not come"
        if wrong:
            failures.append(Failure(question.id, wrong))
    return failures


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=ANSWER_SECONDS)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _answer(socket_path: Path, request: dict[str, Any]) -> str | None:
    connection = _Connection(socket_path)
    try:
        body = json.dumps(request).encode()
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        document = json.loads(response.read(_MAX_ANSWER_BYTES))
        return str(document["choices"][0]["message"]["content"] or "") if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, TypeError):
        return None
    finally:
        connection.close()
