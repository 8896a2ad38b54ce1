"""Every metric the gateway exposes: the table that ``docs/metrics.md`` is made from.

Label sets are fixed. ``route`` is one of ``operations.label``'s names, ``code``
a status that the gateway itself answers, ``class`` that of the key, ``kind``
and ``reason`` are listed here, and ``app`` is the name of a key, which only the
box's operator can make, capped at :data:`MAX_APPS`. Nothing that a client
writes becomes a label (PYSEC-2026-4325).
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.core.metric import Family
from appliance.errors import ApplianceError, OperatorError

#: Apps with series of their own; the requests of further ones are counted under :data:`OTHER_APPS`.
MAX_APPS = 200
OTHER_APPS = "(other)"
#: Requests without a usable key.
NO_APP = "(none)"
CLASSES = ("interactive", "batch")
KINDS = ("input", "output", "cached")
#: Code of a request whose client left before its answer began, as in nginx.
CLIENT_LEFT = 499
#: Reason of a refusal by the queue: to a client it is ``rate_limit_exceeded`` like a key's limit.
ENGINE_BUSY = "engine_busy"

_ANSWER = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_FIRST = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0)
_BETWEEN = (0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
_QUEUE = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
_ADDED = (0.0001, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)

FAMILIES = (
    Family(
        "appliance_requests_total", "counter",
        "Requests by route, HTTP status and app; code 499 means that the client left before its answer began.",
        ("route", "code", "app"),
    ),
    Family("appliance_requests_open", "gauge", "Requests under way, health routes included."),
    Family(
        "appliance_refusals_total", "counter",
        "Requests refused or failed, by the code of the error; engine_busy is the queue's 429, "
        "rate_limit_exceeded that of a key's own limit.",
        ("reason",),
    ),
    Family("appliance_cancelled_total", "counter", "Requests whose client left before the end.", ("route",)),
    Family("appliance_streams_open", "gauge", "Streams whose first token has been sent and whose end has not."),
    Family("appliance_connections_open", "gauge", "Connections of clients held by the public listener, with TLS handshakes under way."),
    Family("appliance_connections_limit", "gauge", "How many it may hold."),
    Family(
        "appliance_request_seconds", "histogram",
        "Whole time of an answered generation, from the end of its headers to the last byte.",
        ("class",), _ANSWER,
    ),
    Family(
        "appliance_time_to_first_token_seconds", "histogram",
        "From the end of a streamed request's headers to its first token, waiting included.",
        ("class",), _FIRST,
    ),
    Family(
        "appliance_time_between_tokens_seconds", "histogram",
        "From one piece of a stream to the next, as they come from the engine; a piece is a token, seldom a few.",
        ("class",), _BETWEEN,
    ),
    Family(
        "appliance_queue_seconds", "histogram",
        "Wait for a slot at the engine, also of those that got none.",
        ("class",), _QUEUE,
    ),
    Family(
        "appliance_engine_seconds", "histogram",
        "From handing a request to the engine to the last byte of its answer, or to the client's leaving.",
        ("class",), _ANSWER,
    ),
    Family(
        "appliance_gateway_seconds", "histogram",
        "What the gateway adds to an answered generation: its whole time without queue and engine. "
        "The arrival of a body later than its headers counts here.",
        (), _ADDED,
    ),
    Family(
        "appliance_tokens_total", "counter",
        "Tokens by kind and app, those of cancelled and failed requests included. "
        "cached is the part of input that the engine took from its prefix cache, counted where an answer came to its end.",
        ("kind", "app"),
    ),
    Family("appliance_queue_depth", "gauge", "Requests that wait for a slot at the engine.", ("class",)),
    Family("appliance_queue_limit", "gauge", "How many may wait, all classes together."),
    Family("appliance_engine_slots", "gauge", "Sequences that the engine is given at once."),
    Family("appliance_engine_slots_used", "gauge", "Sequences that it has been given."),
    Family(
        "appliance_engine_ready", "gauge",
        "1 if the engine really generated within gateway.ready_window_seconds, else 0; as GET /health/ready.",
    ),
    Family("appliance_engine_hung", "gauge", "1 if the engine takes requests but generates nothing, else 0."),
    Family("appliance_audit_writable", "gauge", "1 if the audit can be written, else 0."),
    Family("appliance_audit_commits_total", "counter", "Transactions of the audit; many requests share one."),
    Family(
        "appliance_key_database_readable", "gauge",
        "1 if the key database can be read; at 0 the keys known from memory go on working.",
    ),
    Family("appliance_keys_lost", "gauge", "Keys that work from memory and that the database has no more."),
    Family(
        "appliance_electricity_price_won_per_kwh", "gauge",
        "Setting energy.won_per_kwh, for rules that turn joules into won; no series where it is 0.",
    ),
    Family("appliance_build_info", "gauge", "Always 1; the version is its label.", ("version",)),
    Family("process_cpu_seconds_total", "counter", "Processor time of the gateway's process."),
    Family("process_max_fds", "gauge", "File descriptors it may open."),
    Family("process_open_fds", "gauge", "File descriptors it has open."),
    Family("process_resident_memory_bytes", "gauge", "Its resident memory."),
    Family("process_start_time_seconds", "gauge", "When it started, Unix seconds."),
    Family("process_virtual_memory_bytes", "gauge", "Its virtual memory."),
)  # fmt: skip
BY_NAME = {family.name: family for family in FAMILIES}


def reasons() -> tuple[str, ...]:
    """Every value of ``reason``: the keys of all errors that a client can get."""
    return tuple(sorted({error.key for error in _errors(ApplianceError)} | {ENGINE_BUSY}))


def _errors(error: type[ApplianceError]) -> Iterator[type[ApplianceError]]:
    yield error
    for kind in error.__subclasses__():
        if kind is not OperatorError:
            yield from _errors(kind)
