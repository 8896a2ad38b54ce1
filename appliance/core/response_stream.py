"""The event stream of ``/v1/responses``, made of the engine's chat completion stream.

Here, and only here, a stream's chunks are parsed: the two APIs have different
events, so the bytes cannot pass as they are.

Source: OpenAI API reference, "Responses", "Streaming events".
"""

from __future__ import annotations

from typing import Any

import orjson

from appliance.core import response_object
from appliance.core.response_object import ResponseHead
from appliance.errors import ApplianceError, EngineFailed

_END = b"\n\n"
_DATA = b"data: "
_DONE = b"[DONE]"


class ResponseStream:
    """Follow one stream: :meth:`feed` whole events of the engine, send on what it returns.

    Args:
        head: what the answer says besides its output.
    """

    __slots__ = ("_head", "_item", "_logprobs", "_model", "_number", "_output", "_reason", "_texts", "_usage")

    def __init__(self, head: ResponseHead) -> None:
        self._head = head
        self._number = 0
        self._model = ""
        self._reason = ""
        self._usage: dict[str, Any] | None = None
        self._output: list[dict[str, Any]] = []
        # The output item that grows, and what it has grown by.
        self._item: dict[str, Any] | None = None
        self._texts: list[str] = []
        self._logprobs: list[Any] = []

    def feed(self, events: bytes) -> bytes:
        """Translate the next whole events; empty where they say nothing to the client.

        Raises:
            EngineFailed: they are not those of a chat completion.
        """
        try:
            return b"".join(
                out
                for event in events.split(_END)
                if event.startswith(_DATA)
                for out in self._read(event.removeprefix(_DATA))
            )
        except (KeyError, IndexError, TypeError, AttributeError, orjson.JSONDecodeError):
            raise EngineFailed from None

    def fail(self, err: ApplianceError) -> bytes:
        """The event that ends a stream that failed.

        It has the API's flat form, and the ``error`` object that makes the
        official SDKs raise rather than return half an answer.
        """
        error = {"message": str(err), "type": err.type, "param": err.param, "code": err.key}
        return self._event("error", code=err.key, message=str(err), param=err.param, error=error)

    def _read(self, data: bytes) -> list[bytes]:
        if data == _DONE:
            return self._finish()
        chunk = orjson.loads(data)
        out: list[bytes] = []
        if not self._model:
            self._model = chunk["model"]
            begun = self._head.build("in_progress", model=self._model, output=[])
            out += [
                self._event("response.created", response=begun),
                self._event("response.in_progress", response=begun),
            ]
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk["choices"]:
            delta = choice["delta"]
            if delta.get("content"):
                out += self._text(delta["content"], (choice.get("logprobs") or {}).get("content") or [])
            for call in delta.get("tool_calls") or []:
                out += self._call(call)
            self._reason = choice.get("finish_reason") or self._reason
        return out

    def _text(self, text: str, logprobs: list[Any]) -> list[bytes]:
        out: list[bytes] = []
        if self._item is None or self._item["type"] != "message":
            out = self._close() + self._open_message()
        self._texts.append(text)
        self._logprobs += logprobs
        out.append(self._part_event("response.output_text.delta", delta=text, logprobs=logprobs))
        return out

    def _open_message(self) -> list[bytes]:
        item = response_object.text_message(self._head.item_id("msg", len(self._output)), [], "in_progress")
        return [
            self._open(item),
            self._part_event("response.content_part.added", part=response_object.text_part("", [])),
        ]

    def _call(self, call: dict[str, Any]) -> list[bytes]:
        out: list[bytes] = []
        function = call.get("function") or {}
        if function.get("name"):  # only a call's first delta names it
            item_id = self._head.item_id("fc", len(self._output) + (self._item is not None))
            item = response_object.function_call(item_id, call["id"], {"name": function["name"]}, "in_progress")
            out = [*self._close(), self._open(item)]
        if arguments := function.get("arguments"):
            self._texts.append(arguments)
            out.append(self._item_event("response.function_call_arguments.delta", delta=arguments))
        return out

    def _open(self, item: dict[str, Any]) -> bytes:
        self._item = item
        return self._event("response.output_item.added", output_index=len(self._output), item=item)

    def _close(self) -> list[bytes]:
        """End the item that grows, if one does."""
        item, text, logprobs = self._item, "".join(self._texts), self._logprobs
        if item is None:
            return []
        # The item before the last one is always whole; the last one as far as the engine came.
        status = response_object.status_of(self._reason)
        if item["type"] == "message":
            part = response_object.text_part(text, logprobs)
            out = [
                self._part_event("response.output_text.done", text=text, logprobs=logprobs),
                self._part_event("response.content_part.done", part=part),
            ]
            whole = response_object.text_message(item["id"], [part], status)
        else:
            out = [self._item_event("response.function_call_arguments.done", name=item["name"], arguments=text)]
            whole = {**item, "arguments": text, "status": status}
        out.append(self._event("response.output_item.done", output_index=len(self._output), item=whole))
        self._output.append(whole)
        self._item, self._texts, self._logprobs = None, [], []
        return out

    def _finish(self) -> list[bytes]:
        out: list[bytes] = []
        if self._item is None and not self._output:
            out = self._open_message()  # an empty answer is a message too
        out += self._close()
        status = response_object.status_of(self._reason)
        whole = self._head.build(status, model=self._model, output=self._output, usage=self._usage, reason=self._reason)
        return [*out, self._event(f"response.{status}", response=whole)]

    def _part_event(self, kind: str, **fields: Any) -> bytes:
        return self._item_event(kind, content_index=0, **fields)

    def _item_event(self, kind: str, **fields: Any) -> bytes:
        item_id = self._item["id"] if self._item else ""
        return self._event(kind, item_id=item_id, output_index=len(self._output), **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = orjson.dumps({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        return b"event: " + kind.encode() + b"\ndata: " + data + _END
