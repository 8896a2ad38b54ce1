"""The answer of ``/v1/responses``, made of the engine's chat completion.

The engine is asked in the older form (one route of it to guard, and the same
rules for tools and schemas on both of ours); what comes back is written in the
newer one here. Nothing is stored: an answer's id leads nowhere.

Source: OpenAI API reference, "Responses", the response object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from appliance.errors import EngineFailed

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What an answer says besides its output.

    Args:
        response_id: ``resp_`` and hexadecimal digits.
        created_at: Unix seconds.
        echo: the request's own fields, as the answer repeats them.
    """

    response_id: str
    created_at: int
    echo: Mapping[str, Any]

    def item_id(self, kind: str, index: int) -> str:
        """The id of the output item at ``index``; ``kind`` is ``msg`` or ``fc``."""
        return f"{kind}_{self.response_id.removeprefix('resp_')}{index:02x}"

    def build(
        self, status: str, *, model: str, output: list[Any], usage: Mapping[str, Any] | None = None, reason: str = ""
    ) -> dict[str, Any]:
        """The response object.

        Args:
            status: ``in_progress``, ``completed`` or ``incomplete``.
            model: what really answered.
            output: its items.
            usage: the engine's count in the older form.
            reason: the engine's reason to finish, for an incomplete one.
        """
        incomplete = status == "incomplete"
        return {
            "id": self.response_id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": _INCOMPLETE.get(reason, "max_output_tokens")} if incomplete else None,
            "model": model,
            "output": output,
            "previous_response_id": None,
            "store": False,
            "truncation": "disabled",
            "usage": tokens(usage) if usage else None,
            **self.echo,
        }


def translate(completion: bytes, head: ResponseHead) -> bytes:
    """A whole chat completion as a response.

    Args:
        completion: the engine's JSON, with one choice.
        head: the rest of the answer.

    Raises:
        EngineFailed: it is not a chat completion.
    """
    try:
        engine = orjson.loads(completion)
        choice = engine["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason") or "stop"
        status = status_of(reason)
        output = [
            function_call(head.item_id("fc", index), call["id"], call["function"], status)
            for index, call in enumerate(message.get("tool_calls") or [])
        ]
        text = message.get("content")
        if text or not output:
            logprobs = (choice.get("logprobs") or {}).get("content") or []
            item = head.item_id("msg", len(output))
            output.insert(0, text_message(item, [text_part(text or "", logprobs)], status))
        return orjson.dumps(
            head.build(status, model=engine["model"], output=output, usage=engine["usage"], reason=reason)
        )
    except (KeyError, IndexError, TypeError, AttributeError, orjson.JSONDecodeError):
        raise EngineFailed from None


def status_of(reason: str) -> str:
    """Whether an answer that finished for ``reason`` is ``completed`` or ``incomplete``."""
    return "incomplete" if reason in _INCOMPLETE else "completed"


def text_message(item_id: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    """An output item: the assistant's message."""
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": content}


def text_part(text: str, logprobs: list[Any]) -> dict[str, Any]:
    """A part of such a message. ``logprobs`` has the same form in both APIs."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def function_call(item_id: str, call_id: str, function: Mapping[str, Any], status: str) -> dict[str, Any]:
    """An output item: a function the model wants called."""
    return {
        "id": item_id,
        "type": "function_call",
        "call_id": call_id,
        "name": function["name"],
        "arguments": function.get("arguments") or "",
        "status": status,
    }


def tokens(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The count of tokens in the newer form; raises KeyError where the older one lacks a count."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    written: int = usage.get("completion_tokens") or 0
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["prompt_tokens"] + written,
    }
