r"""What a stream of Server-Sent Events says, read without parsing what it carries.

The relay passes an engine's bytes on as they are. Three things must be known
all the same: where an event ends (so that an error never lands inside one),
the final usage, and whether the engine put an error of its own into the
stream. All three are found by byte search; JSON is parsed only for the one
event that holds the usage. vLLM is asked to put a running count into every
event too, since a stream that is cut off has no final one: it is cut out of
the bytes again, and read only where the stream ends early. The searched patterns cannot occur inside a JSON
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
_RUNNING = b',"usage":{'
_INDEX = b'"index":'
#: An event larger than this is not one that an engine sends.
MAX_EVENT_BYTES = 4_194_304


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request.

    Args:
        input_tokens: of the prompt.
        output_tokens: generated.
        source: ``engine`` (its final count), ``running`` (its count up to the last event that
            arrived) or ``counted`` (events, where the engine gave no count; the prompt's is then 0).
        cached_tokens: of the prompt's, those from the engine's prefix cache; only its final count tells them.
    """

    input_tokens: int
    output_tokens: int
    source: str = "engine"
    cached_tokens: int = 0

    @classmethod
    def of(cls, body: bytes) -> Usage | None:
        """Read the ``usage`` object of a JSON body; None where there is none."""
        try:
            usage = orjson.loads(body).get("usage")
            if not usage:
                return None
            details = usage.get("prompt_tokens_details")
            cached = int(details.get("cached_tokens") or 0) if isinstance(details, dict) else 0
            return cls(int(usage["prompt_tokens"]), int(usage.get("completion_tokens") or 0), cached_tokens=cached)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
            return None


class EventStream:
    """Follow one stream: :meth:`feed` bytes as they come, forward what it returns.

    Args:
        show_usage: whether the client asked for the usage event; else it is
            read and left out.
        choices: ``n`` of the request.
    """

    __slots__ = ("_choices", "_counts", "_final", "_rest", "_running", "_show_usage", "done", "events", "failed")

    def __init__(self, *, show_usage: bool, choices: int = 1) -> None:
        self.done = False
        self.failed = False
        self.events = 0
        self._choices = choices
        self._final: Usage | None = None
        # Whether the engine counts in every event, and the last count of each choice, unread.
        self._counts: bool | None = None
        self._running: dict[bytes, bytes] = {}
        self._rest = b""
        self._show_usage = show_usage

    @property
    def usage(self) -> Usage | None:
        """The tokens so far; None before the first event."""
        if self._final is not None or not self.events:
            return self._final
        prompts: dict[int, int] = {}
        generated = 0
        for index, count in self._running.items():
            usage = Usage.of(b'{"usage":' + count + b"}")
            if usage is None or not index.isdigit():
                continue
            prompts[int(index) // self._choices] = usage.input_tokens
            generated += usage.output_tokens
        if prompts:
            return Usage(sum(prompts.values()), generated, "running")
        return Usage(0, self.events - self.done, "counted") if self.events > self.done else None

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
        events = data.count(_END)
        self.events += events
        if self._counts is None and b"data: {" in data:
            self._counts = _RUNNING in data and _INDEX in data
        if events == 1 and self._counts:  # the usual case; neither the end nor an error has a running count
            bare = self._cut(data)
            if bare is not data:
                return bare
        if _USAGE not in data and _DONE not in data and not self._has_error(data):
            return data
        return self._read(data)

    def _cut(self, event: bytes) -> bytes:
        """Take the running count out of an event of one choice and keep it as it is; the event itself if it has none."""
        start = event.rfind(_RUNNING)
        index = event.find(_INDEX, 0, start)
        if start < 0 or index < 0:
            return event
        end = event.find(b"}", start) + 1
        if event.find(b"{", start + len(_RUNNING), end) >= 0:
            end = event.find(b"}}", start) + 2
        if end <= start:
            return event
        self._running[event[index + len(_INDEX) : event.find(b",", index)]] = event[start + len(_RUNNING) - 1 : end]
        return event[:start] + event[end:]

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
            elif self._counts and _INDEX in event:
                event = self._cut(event)  # noqa: PLW2901  the event as the client gets it
            elif _USAGE in event:
                self._final = Usage.of(event.removeprefix(b"data: ")) or self._final
                if not self._show_usage and b'"choices":[]' in event:
                    continue
            kept.append(event + _END)
        return b"".join(kept)
