"""Traffic lights: the numbers that queries answer with, and the words and colours they stand for."""

from __future__ import annotations

from deploy.grafana.board import AMBER, GREEN, GREY, RED, Panel, Query, State, Words

#: What a light's query answers.
WELL, BROKEN, CARE, OTHER, UNKNOWN = 1, 0, 2, 3, -1
#: After this long without upkeep what its figures say is not now, as in the alert UpkeepNotRunning.
STALE_SECONDS = 7200


def states(
    well: Words, broken: Words, *, care: Words | None = None, other: Words | None = None, unknown: Words
) -> tuple[State, ...]:
    """The words of a light: what is well, what is broken, what wants care, and what it says when nothing is known."""
    found = [State(WELL, GREEN, well), State(BROKEN, RED, broken)]
    found += [State(CARE, AMBER, care)] if care else []
    found += [State(OTHER, AMBER, other)] if other else []
    return (*found, State(UNKNOWN, GREY, unknown))


def first_of(*expressions: str) -> str:
    """The first expression that has a value; if none has, :data:`UNKNOWN`."""
    return " or ".join((*(f"({one})" for one in expressions), f"vector({UNKNOWN})"))


def value(number: int, condition: str) -> str:
    """``number`` where the condition holds for any series, else nothing.

    Args:
        number: one of this module's.
        condition: an expression whose series are those for which it holds, as ``x == 0``.
    """
    return f"{number} + 0 * max({condition})"


def upkeep_is_stale() -> str:
    """:data:`CARE` if upkeep has written nothing for too long, so that its figures are old."""
    return value(CARE, f"time() - appliance_upkeep_timestamp_seconds > {STALE_SECONDS}")


def light(title: Words, text: Words, red: Words, states: tuple[State, ...], promql: str, width: int = 4) -> Panel:
    """A panel with one word on a coloured ground."""
    query = Query(promql, title.line)
    return Panel(title, text, "none", (query,), "light", red, states, width=width, height=4, decimals=0)
