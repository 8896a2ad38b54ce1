"""What may be logged, kept or forwarded: one list a purpose, everything else is dropped.

An allowlist, because a denylist forgets: a field that nobody thought about
stays out. Values are cut to a length at which no prompt survives.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

#: Fields a log line may carry. None can hold what a client wrote.
LOG_FIELDS = frozenset(
    {
        "address",
        "app",
        "attempt",
        "bytes",
        "child_pid",
        "code",
        "count",
        "delay_seconds",
        "device",
        "duration_seconds",
        "error",
        "event",
        "exit_status",
        "file",
        "finding",
        "gpu",
        "input_tokens",
        "key_id",
        "level",
        "logger",
        "method",
        "model",
        "output_tokens",
        "path",
        "phase",
        "port",
        "profile",
        "reason",
        "remedy",
        "request_id",
        "route",
        "seconds",
        "signal",
        "socket",
        "source",
        "state_dir",
        "status",
        "stream",
        "timestamp",
        "version",
    }
)
#: No sentence worth stealing fits, a path or an identifier does.
MAX_LOGGED_CHARACTERS = 200


def loggable(event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Keep the allowed fields of a log event, with text cut to :data:`MAX_LOGGED_CHARACTERS`."""
    return {name: _short(value) for name, value in event.items() if name in LOG_FIELDS}


def dropped(event: Mapping[str, Any]) -> set[str]:
    """Names of the fields that :func:`loggable` would drop, for tests that hold callers to the list."""
    return set(event) - LOG_FIELDS


def _short(value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = str(value)
    return text if len(text) <= MAX_LOGGED_CHARACTERS else text[:MAX_LOGGED_CHARACTERS] + "…"
