"""Training rows laid out for one forward pass: what they share stands once, nothing is padded far.

Every question of the corpus starts with the same system prompt. A sheet holds
that prefix once, then the rest of each row, in groups of rows of about the
same length::

    prefix | row row row … (padded to the longest of its group) | row row …

``shared_prefix.attend`` lets every row see the prefix and itself alone. On two
CPU cores this and the loss on answers alone are worth a third of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

#: Target of a position whose next token is not trained (PyTorch's ``ignore_index``).
IGNORED = -100


@dataclass(frozen=True)
class Row:
    """One sample in tokens.

    Args:
        prompt: what the model reads.
        answer: what it must write, its end token included.
        given: how many tokens of the answer are read but not trained.
    """

    prompt: Sequence[int]
    answer: Sequence[int]
    given: int = 0


@dataclass(frozen=True)
class Group:
    """Rows of one width, one after another.

    Args:
        rows: how many.
        width: tokens of each, padding included.
    """

    rows: int
    width: int


@dataclass(frozen=True)
class Sheet:
    """What one forward pass reads. The three lists are of one length.

    Args:
        tokens: ids.
        positions: place of each token in its row, the prefix counted.
        targets: the next token where it is trained, else :data:`IGNORED`.
        prefix: how many tokens at the start all rows share.
        groups: what follows it.
    """

    tokens: list[int]
    positions: list[int]
    targets: list[int]
    prefix: int
    groups: tuple[Group, ...]


def lay_out(rows: Iterable[Row], group_rows: int, padding: int) -> Sheet:
    """A sheet of these rows, shortest first.

    Args:
        rows: at least one; each with a prompt of at least two tokens.
        group_rows: rows of a group; fewer pad less, more compute in larger pieces.
        padding: id that fills a row up; no other token sees it.
    """
    ordered = sorted(rows, key=lambda row: len(row.prompt) + len(row.answer))
    # One token of every prompt stays behind, so that the first token of an answer is predicted from its own row.
    prefix = min(_shared(ordered), min(len(row.prompt) for row in ordered) - 1)
    sheet = Sheet(
        tokens=list(ordered[0].prompt[:prefix]),
        positions=list(range(prefix)),
        targets=[IGNORED] * prefix,
        prefix=prefix,
        groups=tuple(_groups(ordered, group_rows, prefix)),
    )
    place = 0
    for group in sheet.groups:
        for row in ordered[place : place + group.rows]:
            _append(sheet, row, group.width, padding)
        place += group.rows
    return sheet


def _shared(rows: Sequence[Row]) -> int:
    """How many tokens at the start are the same in every prompt."""
    columns = zip(*(row.prompt for row in rows), strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def _groups(ordered: Sequence[Row], group_rows: int, prefix: int) -> Iterable[Group]:
    for start in range(0, len(ordered), group_rows):
        some = ordered[start : start + group_rows]
        yield Group(len(some), max(len(row.prompt) + len(row.answer) for row in some) - prefix)


def _append(sheet: Sheet, row: Row, width: int, padding: int) -> None:
    own = [*row.prompt[sheet.prefix :], *row.answer]
    blank = width - len(own)
    asked = len(row.prompt) - sheet.prefix
    # The last token of the prompt predicts the first of the answer; the end token predicts nothing.
    targets = [IGNORED] * (asked - 1 + row.given) + list(row.answer[row.given :]) + [IGNORED]
    sheet.tokens.extend(own + [padding] * blank)
    sheet.targets.extend(targets + [IGNORED] * blank)
    sheet.positions.extend(range(sheet.prefix, sheet.prefix + width))
