"""The audit record and the chain that makes any later change of it visible.

A record says who did what, when and from where, and what came of it; it has no
place for what was written. Each one's hash covers its own bytes, its number
and the hash of the one before, so that a changed, removed, inserted or moved
record breaks the chain where it was touched. Two things lie outside the chain:

* the **head**: number and hash of the newest record, sealed with a key (HMAC),
  kept in a file of its own. It shows that records were cut off at the end, or
  that the whole chain was computed anew by somebody without the key.
* the **anchor**: number and hash of the last record that retention removed. A
  record of the chain itself says the same, so a made-up anchor is found.

What this cannot show: a change by somebody who can read the sealing key (the
gateway's user, root), and the return of an older copy of database and head
together. Against those only a head noted elsewhere helps: the gateway writes
it to the log every hour, and ``appliance report --verify-audit --head`` checks
one. Nor can it show records added behind the sealed head while the gateway
stood still: :attr:`Verdict.unsealed` counts them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import orjson

#: What the first record follows from.
GENESIS = bytes(32)
#: Name of the event that removes old records: ``times`` is the last number removed, ``request_id`` its hash in hex.
PRUNED = "records pruned"

OPEN = "open"
CLOSE = "close"
WHOLE = "whole"
EVENT = "event"


class Record(NamedTuple):
    """One record. Times are Unix milliseconds, durations milliseconds; empty and zero mean unknown.

    ``kind`` is ``open`` (the engine works, nothing has been answered yet),
    ``close`` (it is over), ``whole`` (both in one: what never reached the
    engine) or ``event`` (not a request: ``route`` is then the event's name,
    ``app`` who did it, ``request_id`` what it refers to).
    """

    kind: str
    at_ms: int
    request_id: str
    key_id: str = ""
    app: str = ""
    address: str = ""
    method: str = ""
    route: str = ""
    model: str = ""
    stream: bool = False
    status: int = 0
    #: ``answered``, ``cancelled``, ``refused``, ``failed`` or ``interrupted``; for events free.
    outcome: str = ""
    #: Key of the error, as in ``appliance.errors``.
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    #: ``engine`` (its own count), ``counted`` (events of the stream) or empty (not known).
    tokens_from: str = ""
    queue_ms: int = 0
    generation_ms: int = 0
    #: How many of the same it stands for.
    times: int = 1


def encode(record: Record) -> bytes:
    """The bytes that are stored and hashed: a JSON array in the order of :class:`Record`."""
    return orjson.dumps(record[:])


def decode(body: bytes) -> Record:
    """Read :func:`encode`'s bytes; raises ValueError or TypeError where they are not a record."""
    return Record(*orjson.loads(body))


def link(previous: bytes, sequence: int, body: bytes) -> bytes:
    """The hash of a record: SHA-256 over the hash before, the number (8 bytes, big endian) and the bytes."""
    return hashlib.sha256(previous + sequence.to_bytes(8, "big") + body).digest()


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the chain: a record's number and hash."""

    sequence: int = 0
    digest: bytes = GENESIS

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest.hex()}"

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Read ``NUMBER:HEX``; raises ValueError."""
        number, _, digest = text.strip().partition(":")
        mark = cls(int(number), bytes.fromhex(digest))
        if len(mark.digest) != len(GENESIS) or mark.sequence < 0:
            raise ValueError(text)
        return mark


def seal(mark: Mark, key: bytes) -> bytes:
    """The head file's content: the mark and its HMAC-SHA-256, one line of fixed width."""
    text = f"{mark.sequence:020d}:{mark.digest.hex()}"
    return f"{text} {hmac.digest(key, text.encode(), 'sha256').hex()}\n".encode()


def unseal(content: bytes, key: bytes) -> Mark | None:
    """The mark in a head file; None where it is not one that this key sealed."""
    try:
        mark = Mark.parse(content.split(b" ", 1)[0].decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return None
    return mark if hmac.compare_digest(seal(mark, key), content) else None


@dataclass(frozen=True, slots=True)
class Problem:
    """The first thing that is wrong: the number of the record it is about, and a sentence."""

    sequence: int
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk along the chain found.

    Args:
        records: how many were read and in order.
        first: number of the first of them, 0 if there are none.
        head: the last of them.
        requests: closed requests among them.
        interrupted: those that a crash or a power cut ended.
        unfinished: opened and not closed: running, or cut off and the gateway not started since.
        unsealed: records behind the sealed head.
        problem: the first one, or None.
    """

    records: int
    first: int
    head: Mark
    requests: int = 0
    interrupted: int = 0
    unfinished: int = 0
    unsealed: int = 0
    problem: Problem | None = None


class Walk:
    """Follows the chain record by record: :meth:`take` each in the order of the numbers, then :meth:`end`.

    Args:
        anchor: the last record that retention removed; by default none was.
        expected: places that must be in the chain: the head, or one noted elsewhere.
    """

    def __init__(self, anchor: Mark | None = None, expected: Iterable[Mark] = ()) -> None:
        self._anchor = anchor or Mark()
        self._mark = self._anchor
        self._expected = {mark.sequence: mark.digest for mark in expected if mark.sequence}
        self._anchored = self._anchor.sequence == 0
        self._open: set[str] = set()
        self._records = self._requests = self._interrupted = 0
        self.problem: Problem | None = None

    def take(self, sequence: int, body: bytes, digest: bytes) -> Record | None:
        """Check the next record and return it; None, with :attr:`problem` set, where it does not follow."""
        if fault := self._fault(sequence, body, digest):
            self._fail(*fault)
            return None
        record = decode(body)
        self._mark = Mark(sequence, digest)
        self._records += 1
        self._note(record)
        return record

    def end(self, sealed: Mark | None) -> Verdict:
        """Check the end of the chain against the sealed head (None: there is none, or it is not genuine)."""
        last = self._mark.sequence
        for sequence in sorted(self._expected):
            if self.problem is None and sequence > last:
                lost = f"record {sequence} is" if sequence == last + 1 else f"records {last + 1} to {sequence} are"
                self._fail(last + 1, f"{lost} missing: the chain was cut off at its end.")
        if self.problem is None and sealed is None and self._records:
            self._fail(last, "the sealed head is missing or not genuine, so the chain's end cannot be vouched for.")
        if self.problem is None and not self._anchored:
            self._fail(
                self._anchor.sequence + 1, f"the records up to {self._anchor.sequence} were not removed by retention."
            )
        return Verdict(
            records=self._records,
            first=self._anchor.sequence + 1 if self._records else 0,
            head=self._mark,
            requests=self._requests,
            interrupted=self._interrupted,
            unfinished=len(self._open),
            unsealed=max(0, last - sealed.sequence) if sealed else 0,
            problem=self.problem,
        )

    def _fault(self, sequence: int, body: bytes, digest: bytes) -> tuple[int, str] | None:
        wanted = self._mark.sequence + 1
        if sequence != wanted:
            which = f"record {wanted} is" if sequence == wanted + 1 else f"records {wanted} to {sequence - 1} are"
            return wanted, f"{which} missing."
        if link(self._mark.digest, sequence, body) != digest:
            return sequence, (
                f"record {sequence} does not follow from record {sequence - 1}: "
                "one of the two was changed, inserted or moved."
            )
        if self._expected.get(sequence, digest) != digest:
            return sequence, f"record {sequence} is not the one that was sealed: the chain was computed anew."
        return None

    def _note(self, record: Record) -> None:
        if record.kind == OPEN:
            self._open.add(record.request_id)
        elif record.kind in {CLOSE, WHOLE}:
            self._open.discard(record.request_id)
            self._requests += record.times
            self._interrupted += record.outcome == "interrupted"
        elif record.route == PRUNED and Mark(record.times, bytes.fromhex(record.request_id)) == self._anchor:
            self._anchored = True

    def _fail(self, sequence: int, message: str) -> None:
        self.problem = self.problem or Problem(sequence, message)
