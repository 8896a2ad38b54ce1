"""Versions of bundles and their order: ``1.4``, ``2.0.1``, ``2.0.1-rc.2``.

Numbers with dots, at most four, then perhaps a hyphen and a mark of a version
before the release. The order is that of Semantic Versioning 2.0, clause 11;
numbers left out count as 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from appliance.errors import ModelUnusable

_FORM = re.compile(r"(\d{1,9}(?:\.\d{1,9}){0,3})(?:-([0-9A-Za-z-]{1,32}(?:\.[0-9A-Za-z-]{1,32}){0,7}))?")
_NUMBERS = 4


@total_ordering
@dataclass(frozen=True)
class BundleVersion:
    """A version that can be compared.

    Args:
        numbers: four of them.
        mark: parts of the mark before a release; empty for the release itself.
    """

    numbers: tuple[int, ...]
    mark: tuple[str, ...] = ()

    def __lt__(self, other: BundleVersion) -> bool:
        return self._rank() < other._rank()

    def _rank(self) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
        # Numeric parts come before words and compare as numbers; a release comes after all its marks.
        parts = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in self.mark)
        return self.numbers, not self.mark, parts


def parse(text: str) -> BundleVersion:
    """Read a version.

    Raises:
        ModelUnusable: it is not of that form.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ModelUnusable(f"The bundle's version {text!r} is not made of numbers and dots, such as 1.4.0.")
    numbers = [int(number) for number in match[1].split(".")]
    padded = tuple(numbers + [0] * (_NUMBERS - len(numbers)))
    return BundleVersion(padded, tuple(match[2].split(".")) if match[2] else ())
