"""Asks any OpenAI-shaped endpoint many questions, some at once, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from appliance.errors import EvaluationFailed

_TIMEOUT_SECONDS = 180.0
_TOLD_BYTES = 300


@dataclass(frozen=True)
class Endpoint:
    """Where to ask.

    Args:
        base_url: as the OpenAI SDK takes it, ``http://box:8000/v1``.
        key: API key; empty for none.
    """

    base_url: str
    key: str

    def model(self) -> str:
        """The first model it lists.

        Raises:
            EvaluationFailed: it cannot be asked, or lists none.
        """
        listed = self._call("models", None)
        try:
            return str(listed["data"][0]["id"])
        except (KeyError, IndexError, TypeError):
            raise EvaluationFailed(f"{self.base_url} lists no model.") from None

    def answers(
        self, requests: Sequence[dict[str, Any]], concurrency: int, report: Callable[[int, int], None]
    ) -> list[str]:
        """The replies to chat requests, in their order; empty where the endpoint refused one.

        Args:
            requests: bodies of chat requests.
            concurrency: how many are under way at once.
            report: told how many of how many are done.

        Raises:
            EvaluationFailed: it cannot be reached, or refuses the key, or refuses the first request.
        """
        if not requests:
            return []
        replies = {0: self._answer(requests[0])}
        report(1, len(requests))
        with ThreadPoolExecutor(concurrency) as pool:
            waiting = {pool.submit(self._answer_or_nothing, one): place for place, one in enumerate(requests) if place}
            for done in as_completed(waiting):
                replies[waiting[done]] = done.result()
                report(len(replies), len(requests))
        return [replies[place] for place in range(len(requests))]

    def _answer_or_nothing(self, request: dict[str, Any]) -> str:
        """A request that is refused counts as wrong; the rest of the examination goes on."""
        try:
            return self._answer(request)
        except EvaluationFailed:
            return ""

    def _answer(self, request: dict[str, Any]) -> str:
        answered = self._call("chat/completions", request)
        try:
            return str(answered["choices"][0]["message"]["content"] or "")
        except (KeyError, IndexError, TypeError):
            raise EvaluationFailed(f"{self.base_url} gives answers of another form than OpenAI's.") from None

    def _call(self, path: str, body: dict[str, Any] | None) -> Any:
        address = f"{self.base_url.rstrip('/')}/{path}"
        if not address.startswith(("http://", "https://")):
            raise EvaluationFailed(f"{self.base_url} is no http address.")
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        asked = urllib.request.Request(address, data=content, headers=headers)  # noqa: S310 - http(s), see above
        try:
            with urllib.request.urlopen(asked, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as err:
            with err:
                said = err.read(_TOLD_BYTES).decode("utf-8", errors="replace")
            raise EvaluationFailed(f"{address} answers {err.code}: {said}") from None
        except (OSError, http.client.HTTPException, ValueError) as err:
            raise EvaluationFailed(f"{address} cannot be asked: {err}.") from None
