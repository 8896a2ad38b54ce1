"""Is the packet filter that the kernel lists the one that was made from the settings?

``nft list`` writes the same rules in its own way: without comments, sets
sorted, a mask of flags in another spelling from one version to the next. Both
sides are brought to one form and compared rule by rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest

from appliance.core import egress

_SET = re.compile(r"\{ ([^{}]*) \}")
#: The table's comment and the values of counters are no rules.
_LEFT_OUT = re.compile(r"comment \"|packets \d+ bytes \d+$|#")
_FLAGS = re.compile(r"tcp flags & \(([a-z |]+)\) != (\w+)")
_FLAGS_LATER = re.compile(r"tcp flags != (\w+) / ([a-z,]+)")


def difference(planned: str, listing: str) -> str:
    """The first rule in which the two differ, as it is listed; empty where they are the same.

    Args:
        planned: text of :func:`egress.ruleset`.
        listing: what ``nft -s -u list table inet appliance`` printed.
    """
    for wanted, there in zip_longest(_rules(planned), _rules(listing)):
        if wanted != there:
            return there or f"missing: {wanted}"
    return ""


def _rules(text: str) -> Iterator[str]:
    inside = False
    for raw in text.splitlines():
        line = " ".join(raw.split())
        inside = inside or line == f"table {egress.TABLE} {{"
        if inside and line and not _LEFT_OUT.match(line):
            yield _one_form(line)


def _one_form(line: str) -> str:
    line = _SET.sub(lambda found: "{ " + ", ".join(sorted(re.split(r",\s*", found[1]))) + " }", line)
    line = _FLAGS.sub(lambda found: f"tcp flags {','.join(sorted(found[1].split(' | ')))} not {found[2]}", line)
    return _FLAGS_LATER.sub(lambda found: f"tcp flags {','.join(sorted(found[2].split(',')))} not {found[1]}", line)
