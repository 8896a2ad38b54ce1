"""What a dashboard is before Grafana sees it: panels with their words, queries and bounds, all plain values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

#: How a panel shows its queries.
Kind = Literal["light", "number", "lines", "areas", "table"]

GREEN, AMBER, RED, GREY, BLUE = "green", "orange", "red", "#808080", "blue"


@dataclass(frozen=True)
class Words:
    """The same thing said in Korean and in English."""

    ko: str
    en: str

    @property
    def line(self) -> str:
        """Both on one line, as titles and states are shown."""
        return f"{self.ko} · {self.en}"

    @property
    def paragraphs(self) -> str:
        """One below the other."""
        return f"{self.ko}\n\n{self.en}"


@dataclass(frozen=True)
class Query:
    """One PromQL expression and the legend of its series.

    Attributes:
        promql: may hold Grafana's ``$__range``, ``$__rate_interval`` and the dashboard's ``$app``.
        legend: Grafana's template, such as ``{{app}}``.
    """

    promql: str
    legend: str


@dataclass(frozen=True)
class State:
    """A value that a traffic light can have, as a colour and a word."""

    value: int
    colour: str
    words: Words


@dataclass(frozen=True)
class Step:
    """From this value on (included) the panel has this colour."""

    value: float
    colour: str


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        field: the label it shows, or ``Value #A`` for the value of the first query.
        title: its heading.
        unit: Grafana's unit id; empty for text.
        texts: what to show for each value of the label, if not the value itself.
        width: in pixels; 0 lets Grafana share what is left.
    """

    field: str
    title: Words
    unit: str = ""
    texts: tuple[tuple[str, str, str], ...] = ()
    width: int = 0


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: its heading.
        text: what it shows.
        unit: Grafana's unit id (``s``, ``bytes``, ``percentunit`` …).
        queries: what it asks Prometheus for.
        kind: how it shows that.
        red: what to do when it is red or out of bounds; where nothing can be, nothing.
        states: the words of a traffic light.
        base: colour below the first step.
        steps: colours by value, rising.
        columns: those of a table.
        width: of the 24 columns of Grafana's grid.
        height: in its rows.
        decimals: digits after the point; by default as many as Grafana likes.
        largest: upper end of the axis, where it is fixed.
    """

    title: Words
    text: Words
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "lines"
    red: Words | None = None
    states: tuple[State, ...] = ()
    base: str = GREEN
    steps: tuple[Step, ...] = ()
    columns: tuple[Column, ...] = ()
    width: int = 8
    height: int = 8
    decimals: int | None = None
    largest: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels that belong together, under a heading."""

    title: Words
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard.

    Attributes:
        key: its file's name and, behind ``appliance-``, its id in Grafana.
        title: its heading.
        text: who looks at it and what for.
        rows: its panels.
        since: begin of the time that it shows first, in Grafana's words.
        choices: names of labels to choose from, each with a metric that has all its values.
    """

    key: str
    title: Words
    text: Words
    rows: tuple[Row, ...]
    since: str = "now-6h"
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def uid(self) -> str:
        """Its id in Grafana, the same in every installation."""
        return f"appliance-{self.key}"

    def panels(self) -> Iterator[Panel]:
        """Every panel, row by row."""
        for row in self.rows:
            yield from row.panels
