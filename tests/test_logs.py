"""The log: structure only, JSON or readable, never content, keys or tracebacks."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
import structlog

from appliance import logs
from appliance.settings import LogSettings

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


class Stream(io.StringIO):
    """Standard error, as a terminal or not."""

    terminal = False

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stream]:
    """Configure the log and return where it goes; called within a test, as pytest swaps standard error before each."""

    def start(terminal: bool = False, **chosen: str) -> Stream:
        stream = Stream()
        stream.terminal = terminal
        monkeypatch.setattr(sys, "stderr", stream)
        logs.configure(LogSettings(**chosen))
        return stream

    return start


@pytest.fixture
def stream(configure: Callable[..., Stream]) -> Stream:
    """Where the log goes, as JSON."""
    return configure(format="json", level="info")


@pytest.fixture
def lines(stream: Stream) -> Lines:
    """What was logged as JSON, one object a line."""
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_is_one_json_object_with_event_level_time_and_logger(lines: Lines) -> None:
    logs.get("appliance.test").info("request finished", status=200, duration_seconds=0.5)
    (line,) = lines()
    assert line.pop("timestamp")
    assert line == {
        "event": "request finished",
        "level": "info",
        "logger": "appliance.test",
        "status": 200,
        "duration_seconds": 0.5,
    }


def test_content_and_keys_cannot_be_logged(lines: Lines) -> None:
    logs.get("appliance.test").info("request finished", prompt="2+2=5", api_key="sk-1", messages=[{"content": "2+2=5"}])
    (line,) = lines()
    assert "2+2=5" not in json.dumps(line)
    assert "sk-1" not in json.dumps(line)


def test_exception_is_logged_without_its_traceback(lines: Lines, stream: Stream) -> None:
    secret = "the student wrote this"
    logs.get("appliance.test").error("request failed", exc_info=ValueError(secret))
    assert lines()[0]["event"] == "request failed"
    assert secret not in stream.getvalue()


def test_line_below_the_level_is_not_written(lines: Lines) -> None:
    logs.get("appliance.test").debug("probe sent")
    assert lines() == []


@pytest.mark.parametrize("level", [logging.WARNING, 35, logging.CRITICAL])
def test_librarys_text_never_reaches_the_log(lines: Lines, stream: Stream, level: int) -> None:
    logging.getLogger("some.library").log(level, "cannot parse %r", "what the student wrote")
    (line,) = lines()
    assert (line["event"], line["source"]) == ("library message", "some.library")
    assert "student" not in stream.getvalue()


def test_librarys_exception_is_named_by_its_class(lines: Lines) -> None:
    logging.getLogger("some.library").error("failed", exc_info=KeyError("what the student wrote"))
    (line,) = lines()
    assert line["error"] == "KeyError"


def test_librarys_small_talk_is_not_written(lines: Lines) -> None:
    logging.getLogger("some.library").info("GET /v1/models")
    assert lines() == []


def test_console_format_is_readable_and_no_json(configure: Callable[..., Stream]) -> None:
    stream = configure(format="console")
    logs.get("appliance.test").info("engine ready", seconds=37.1)
    assert "engine ready" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_auto_format_is_json_where_nobody_watches(configure: Callable[..., Stream]) -> None:
    stream = configure(format="auto")
    logs.get("appliance.test").info("engine ready")
    assert json.loads(stream.getvalue())["event"] == "engine ready"


def test_auto_format_is_readable_on_a_terminal(configure: Callable[..., Stream]) -> None:
    stream = configure(format="auto", terminal=True)
    logs.get("appliance.test").info("engine ready")
    assert "engine ready" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
