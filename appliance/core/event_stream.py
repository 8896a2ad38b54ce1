r"""What a stream of Server-Sent Events says, read without parsing what it carries.

The relay passes an engine's bytes on as they are. Three things must be known
all the same: where an event ends (so that an error never lands inside one),
the final usage, and whether the engine put an error of its own into the
stream. All three are found by byte search; JSON is parsed only for the one
event that holds the usage. The searched patterns cannot occur inside a JSON
string, where a quotation mark is written ``\\"``.

Source: OpenAI API reference, "Streaming"; WHATWG HTML, "Server-sent events".
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

_END = b"\n\n"
_DONE = b"data: [DONE]"
_ERROR = (b'data: {"error":', b'data: {"object":"error"', b"event: error", b"error:")
_USAGE = b'"usage":{'
#: An event larger than this is not one that an engine sends.
MAX_EVENT_BYTES = 4_194_304


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request as the engine counted them."""

    input_tokens: int
    output_tokens: int

    @classmethod
    def of(cls, body: bytes) -> Usage | None:
        """Read the ``usage`` object of a JSON body; None where there is none."""
        try:
            usage = orjson.loads(body).get("usage")
            return cls(int(usage["prompt_tokens"]), int(usage.get("completion_tokens") or 0)) if usage else None
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
            return None


class EventStream:
    """Follow one stream: :meth:`feed` bytes as they come, forward what it returns.

    Args:
        show_usage: whether the client asked for the usage event; else it is
            read and left out.
    """

    __slots__ = ("_rest", "_show_usage", "done", "events", "failed", "usage")

    def __init__(self, *, show_usage: bool) -> None:
        self.done = False
        self.failed = False
        self.events = 0
        self.usage: Usage | None = None
        self._rest = b""
        self._show_usage = show_usage

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return the whole events among them that the client should see.

        After an engine's error event :attr:`failed` is set and nothing more is returned.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if not data.endswith(_END):
            cut = data.rfind(_END) + len(_END) if _END in data else 0
            self._rest = data[cut:]
            data = data[:cut]
            if len(self._rest) > MAX_EVENT_BYTES:
                self.failed = True
                return b""
        if not data or self.failed:
            return b""
        self.events += data.count(_END)
        if _USAGE not in data and _DONE not in data and not self._has_error(data):
            return data
        return self._read(data)

    @staticmethod
    def _has_error(data: bytes) -> bool:
        return data.startswith(_ERROR) or any(_END + mark in data for mark in _ERROR)

    def _read(self, data: bytes) -> bytes:
        kept: list[bytes] = []
        for event in data.split(_END)[:-1]:
            if event.startswith(_ERROR):
                self.failed = True
                break
            if event == _DONE:
                self.done = True
            elif _USAGE in event:
                self.usage = Usage.of(event.removeprefix(b"data: ")) or self.usage
                if not self._show_usage and b'"choices":[]' in event:
                    continue
            kept.append(event + _END)
        return b"".join(kept)
