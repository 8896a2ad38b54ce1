"""The work of a request, counted, not timed: the same on a slow and on a busy machine.

Most bounds are what was measured (Python 3.11, the locked packages) and a tenth
more; from run to run the counts differ by less than a hundredth. If a change
needs more work and is worth it, raise them with it; if it takes work away,
lower them. ``python -m tests.bench.work`` prints what the calls are.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process
ROOT = Path(__file__).resolve().parents[2]
#: Calls on the event loop's thread: of a request, and of a token of a stream.
CALLS_A_REQUEST = 505
CALLS_A_TOKEN = 57
#: Times the bytes of a large body that are held at one time.
BODIES_HELD = 4.5
#: System calls of the event loop's thread: in from client, engine and a wake-up; out to engine, client and a wake-up.
READS_A_REQUEST = WRITES_A_REQUEST = 3.4


@pytest.fixture(scope="module")
def work() -> dict[str, Any]:
    """The counts, made in a process of its own: what other tests left behind changes nothing."""
    command = [sys.executable, "-m", "tests.bench.work", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def total(calls: dict[str, float], *names: str) -> float:
    """Calls whose name contains one of these; all without any."""
    return sum(count for name, count in calls.items() if not names or any(part in name for part in names))


def test_request_takes_no_more_calls_than_it_did(work: dict[str, Any]) -> None:
    assert total(work["request"]) <= CALLS_A_REQUEST


def test_token_of_a_stream_takes_no_more_calls_than_it_did(work: dict[str, Any]) -> None:
    assert total(work["token"]) <= CALLS_A_TOKEN


def test_count_is_steady(work: dict[str, Any]) -> None:
    assert work["again"] == pytest.approx(total(work["request"]), rel=0.02)


def test_body_is_parsed_once_and_written_once(work: dict[str, Any]) -> None:
    calls = work["request"]
    assert total(calls, "SchemaValidator.validate_json") == pytest.approx(1, abs=0.05)
    assert total(calls, "SchemaSerializer.to_json") == pytest.approx(1, abs=0.05)
    # The other document is the part of the engine's answer that says the use.
    assert total(calls, "orjson.loads") <= 1.05
    assert total(calls, "orjson.dumps", "json/__init__", "json/decoder", "json/encoder") <= 0.05


def test_event_of_a_stream_is_not_parsed(work: dict[str, Any]) -> None:
    assert total(work["token"], "orjson.", "json/", "SchemaValidator") <= 0.05


def test_event_loop_touches_no_disk(work: dict[str, Any]) -> None:
    calls = work["request"]
    # The one statement is the key ring's look whether a key has changed: it reads memory that SQLite shares.
    assert total(calls, "Connection.execute") <= 1.05
    assert total(calls, "Connection.commit", "Cursor.execute", "fsync", "fdatasync") <= 0.05


def test_nothing_is_logged_for_a_request(work: dict[str, Any]) -> None:
    assert total(work["request"], "structlog/processors", "structlog/_output", "logging/__init__") <= 0.05


def test_request_takes_no_more_system_calls_than_it_did(work: dict[str, Any]) -> None:
    assert work["reads"] <= READS_A_REQUEST
    assert work["writes"] <= WRITES_A_REQUEST


def test_large_body_is_held_no_more_often_than_it_was(work: dict[str, Any]) -> None:
    assert work["held"] <= BODIES_HELD


def test_request_leaves_no_memory_behind(work: dict[str, Any]) -> None:
    assert work["left"] <= 0.5
