"""What ``nft`` prints, read: the counters of the table ``inet appliance``, the digest its comment names, other tables.

Counters are read as JSON (libnftables-json(5)). The comment of a table is not
in nft 1.0's JSON, so it is read from the plain listing, whose lines are those
of nft(8).
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from appliance.core.egress import COMMENT, COUNTERS, TABLE

#: One tab deep: the table's own comment. A counter's is deeper, a rule's stands behind the rule on its line.
_COMMENT = re.compile(rf'^\tcomment "{COMMENT} ([0-9a-f]{{64}})"$', re.MULTILINE)


class Dropped(NamedTuple):
    """One counter."""

    packets: int
    bytes: int


def dropped(listing: str) -> dict[str, Dropped]:
    """Counters of ``nft -j list counters table inet appliance`` by source; those of other names are left out.

    Raises:
        ValueError: it is not such a listing.
    """
    try:
        counters = [entry["counter"] for entry in json.loads(listing)["nftables"] if "counter" in entry]
        named = {counter["name"]: Dropped(int(counter["packets"]), int(counter["bytes"])) for counter in counters}
    except (KeyError, TypeError, ValueError):
        raise ValueError("it is not nft's JSON") from None
    return {source: named[name] for source, name in COUNTERS.items() if name in named}


def loaded_rules(listing: str) -> str | None:
    """The SHA-256 that the comment of ``nft list table inet appliance`` names; None if it names none."""
    found = _COMMENT.search(listing)
    return found[1] if found else None


def other_tables(listing: str) -> tuple[str, ...]:
    """Tables of ``nft -j list tables`` besides ``inet appliance``, as nft names them: ``ip nat``.

    Raises:
        ValueError: it is not such a listing.
    """
    try:
        tables = [entry["table"] for entry in json.loads(listing)["nftables"] if "table" in entry]
        names = {f"{table['family']} {table['name']}" for table in tables} - {TABLE}
    except (KeyError, TypeError, ValueError):
        raise ValueError("it is not nft's JSON") from None
    # The kernel takes any bytes as a name; they are printed on a terminal.
    return tuple(sorted("".join(sign if sign.isprintable() else "?" for sign in name) for name in names))
