"""Who may go to the engine now, who waits, and who is told to come back when.

What the engine has too little of is places in its batch, so that is what is
shared out: a freed slot goes to the waiting app that holds the fewest slots for
its weight, and among equals to the one whose last turn is longest ago. Nothing
is estimated and nothing has to be settled: an app that asks for long answers
holds its slots longer and so gets fewer of them, whatever it wrote into
``max_tokens``. An app that holds nothing is served at the next release, however
many others have queued; where several hold nothing they take turns, so nobody
starves.

Batches stand behind people: an interactive request goes first, and while the
timetable says so a batch holds at most a share of the slots. It never stands
still for that: as long as it holds nothing, every second freed slot is its own.

All times are seconds of one monotonic clock, passed in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

Priority = Literal["interactive", "batch"]
#: The official SDKs ignore a longer retry-after and choose a short wait of their own.
MAX_RETRY_SECONDS = 60.0
#: Of one answer in the mean of their times: slow enough for single ones, settled anew within a few dozen.
_SMOOTHING = 1 / 32
#: How long an answer takes, until the first has been measured.
_FIRST_GUESS_SECONDS = 1.0
#: A coarse clock may say that an answer took no time; a rate needs some.
_SHORTEST_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait, and how long.

    Attributes:
        waiting: most requests that wait.
        waiting_per_app: most of them of one app.
        waiting_bytes: most bytes of their bodies together.
        deadline_seconds: longest wait.
        weights: app to its share; 1 where it has none.
    """

    waiting: int
    waiting_per_app: int
    waiting_bytes: int
    deadline_seconds: float
    weights: dict[str, float] = field(default_factory=dict)


class State(Enum):
    """Where a request stands."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    REFUSED = "refused"
    GONE = "gone"


class Refusal(Enum):
    """Why a request was refused."""

    APP_FULL = "the app has too many requests waiting"
    FULL = "too many requests are waiting"
    DEADLINE = "no slot became free in time"


class Place:
    """One request's place, from its arrival until it is gone.

    Attributes:
        app: who asks.
        priority: class of its key.
        sequences: how many the engine generates at once for it, such as its ``n``.
        size_bytes: of its body.
        arrived: when it came.
        admitted: when it was let in.
        state: where it stands.
        refusal: why it was refused.
        retry_seconds: when to come back, once refused.
        wake: called when a waiting request has been admitted or refused.
    """

    __slots__ = (
        "admitted",
        "app",
        "arrived",
        "priority",
        "refusal",
        "retry_seconds",
        "sequences",
        "size_bytes",
        "state",
        "wake",
    )

    def __init__(self, app: str, priority: Priority, sequences: int, size_bytes: int, arrived: float) -> None:
        self.app = app
        self.priority: Priority = priority
        self.sequences = sequences
        self.size_bytes = size_bytes
        self.arrived = arrived
        self.admitted = arrived
        self.state = State.WAITING
        self.refusal: Refusal | None = None
        self.retry_seconds = 0.0
        self.wake: Callable[[], None] | None = None


class _App:
    """What one app holds and has waiting within a class; dropped when it is nothing."""

    __slots__ = ("appointment", "running", "turn", "waiting", "weight")

    def __init__(self, weight: float, turn: int) -> None:
        self.weight = weight
        self.turn = turn
        self.running = 0
        self.waiting: OrderedDict[Place, None] = OrderedDict()
        self.appointment = 0.0


class _Lane:
    """One class."""

    __slots__ = ("apps", "queued", "running", "waiting")

    def __init__(self) -> None:
        self.apps: dict[str, _App] = {}
        self.queued: dict[str, _App] = {}
        self.running = 0
        self.waiting = 0


class Admission:
    """The queue in front of the engine. Each operation takes time with the number of waiting apps, not requests.

    Args:
        slots: sequences that the engine may work on at once.
        bounds: of the queue.
        batch_share: share of the slots that batches may hold, 0 to 1; see :meth:`resize`.
    """

    def __init__(self, slots: int, bounds: Bounds, batch_share: float = 1.0) -> None:
        self.running = 0
        self.waiting = 0
        self.waiting_bytes = 0
        self._bounds = bounds
        self._slots = slots
        self._batch_share = batch_share
        self._batch_slots = 0
        self._lanes: dict[Priority, _Lane] = {"interactive": _Lane(), "batch": _Lane()}
        self._arrivals: OrderedDict[Place, None] = OrderedDict()
        self._turns = 0
        self._last: Priority = "interactive"
        self._slot_seconds = _FIRST_GUESS_SECONDS
        self._measured = 0
        self.resize(0.0)

    @property
    def slots(self) -> int:
        """Sequences that the engine may work on at once."""
        return self._slots

    def waiting_in(self, priority: Priority) -> int:
        """How many requests of a class wait."""
        return self._lanes[priority].waiting

    def resize(self, now: float, *, slots: int | None = None, batch_share: float | None = None) -> None:
        """Change the number of slots, or the share of them that batches may hold (0 to 1; above 0 at least one)."""
        self._slots = self._slots if slots is None else slots
        self._batch_share = self._batch_share if batch_share is None else batch_share
        self._batch_slots = max(1, int(self._batch_share * self._slots)) if self._batch_share > 0 else 0
        self._fill(now)

    def arrive(self, app: str, priority: Priority, now: float, *, sequences: int = 1, size_bytes: int = 0) -> Place:
        """Take a request: the place comes back admitted, waiting or refused. Every place must :meth:`leave`.

        A request for several sequences needs one free slot and then holds as
        many as it has: the engine finds room for the rest, and its app's next
        turn comes the later. Waiting for many to be free at once would leave
        them idle meanwhile.
        """
        lane = self._lanes[priority]
        holder = lane.apps.get(app)
        if holder is None:
            holder = lane.apps[app] = _App(self._bounds.weights.get(app, 1.0), self._turn())
        place = Place(app, priority, sequences, size_bytes, now)
        if not lane.waiting and self._has_room(priority, lane):
            self._admit(place, lane, holder, now)
        elif len(holder.waiting) >= self._bounds.waiting_per_app:
            self._refuse(place, lane, holder, Refusal.APP_FULL, now)
        elif not self._make_room(place, lane, holder, now):
            self._refuse(place, lane, holder, Refusal.FULL, now)
        else:
            self._enqueue(place, lane, holder)
        return place

    def leave(self, place: Place, now: float, *, served: bool = True) -> None:
        """The request is over or its client is gone, wherever it stands; a second call does nothing.

        Args:
            place: from :meth:`arrive`.
            now: the time.
            served: whether the engine answered in full, so that the time it took counts.
        """
        state, place.state, place.wake = place.state, State.GONE, None
        lane = self._lanes[place.priority]
        holder = lane.apps.get(place.app)
        if holder is None:
            return
        if state is State.WAITING:
            self._dequeue(place, lane, holder)
        elif state is State.ADMITTED:
            self.running -= place.sequences
            lane.running -= place.sequences
            holder.running -= place.sequences
            holder.turn = self._turn()
            if served:
                self._measure((now - place.admitted) * place.sequences)
            self._fill(now)
        if not holder.running and not holder.waiting:
            lane.apps.pop(place.app, None)

    def expire(self, now: float) -> None:
        """Refuse who has waited until the deadline."""
        while self._arrivals:
            place = next(iter(self._arrivals))
            if place.arrived + self._bounds.deadline_seconds > now:
                return
            self._drop(place, Refusal.DEADLINE, now)

    def dismiss(self, now: float) -> None:
        """Refuse everybody who waits: the engine is not going to answer."""
        while self._arrivals:
            self._drop(next(iter(self._arrivals)), Refusal.DEADLINE, now)

    def next_deadline(self) -> float | None:
        """When :meth:`expire` has something to do next, or None."""
        for place in self._arrivals:
            return place.arrived + self._bounds.deadline_seconds
        return None

    @property
    def requests_per_second(self) -> float:
        """How many the engine completes with all slots in use, from how long each held its slot (Little's law)."""
        return self._slots / self._slot_seconds

    # --- Who is next

    def _has_room(self, priority: Priority, lane: _Lane) -> bool:
        return self.running < self._slots and (priority == "interactive" or lane.running < self._batch_slots)

    def _fill(self, now: float) -> None:
        while self.waiting and self.running < self._slots:
            priority = self._next_class()
            if priority is None:
                return
            lane = self._lanes[priority]
            holder = min(lane.queued.values(), key=lambda app: (app.running / app.weight, app.turn))
            place = next(iter(holder.waiting))
            self._dequeue(place, lane, holder)
            self._admit(place, lane, holder, now)
            if place.wake is not None:
                place.wake()

    def _next_class(self) -> Priority | None:
        batch = self._lanes["batch"]
        batch_can = bool(batch.waiting) and batch.running < self._batch_slots
        if not self._lanes["interactive"].waiting:
            return "batch" if batch_can else None
        return "batch" if batch_can and not batch.running and self._last != "batch" else "interactive"

    def _admit(self, place: Place, lane: _Lane, holder: _App, now: float) -> None:
        place.state = State.ADMITTED
        place.admitted = now
        self.running += place.sequences
        lane.running += place.sequences
        holder.running += place.sequences
        self._last = place.priority

    def _turn(self) -> int:
        self._turns += 1
        return self._turns

    # --- Who waits

    def _enqueue(self, place: Place, lane: _Lane, holder: _App) -> None:
        holder.waiting[place] = None
        lane.queued[place.app] = holder
        self._arrivals[place] = None
        lane.waiting += 1
        self.waiting += 1
        self.waiting_bytes += place.size_bytes

    def _dequeue(self, place: Place, lane: _Lane, holder: _App) -> None:
        del holder.waiting[place]
        if not holder.waiting:
            del lane.queued[place.app]
        del self._arrivals[place]
        lane.waiting -= 1
        self.waiting -= 1
        self.waiting_bytes -= place.size_bytes

    def _make_room(self, place: Place, lane: _Lane, holder: _App, now: float) -> bool:
        """Whether it may wait: in a full queue the newest of the longest line gives way to a shorter one."""
        while self.waiting and (
            self.waiting >= self._bounds.waiting or self.waiting_bytes + place.size_bytes > self._bounds.waiting_bytes
        ):
            batch = self._lanes["batch"].queued
            lines = (batch or lane.queued).values()
            longest = max(lines, key=lambda app: len(app.waiting), default=holder)
            over_batch = place.priority == "interactive" and bool(batch)
            if not over_batch and len(longest.waiting) <= len(holder.waiting) + 1:
                return False
            self._drop(next(reversed(longest.waiting)), Refusal.FULL, now)
        return True

    # --- Who comes back later

    def _drop(self, place: Place, why: Refusal, now: float) -> None:
        lane = self._lanes[place.priority]
        holder = lane.apps[place.app]
        self._dequeue(place, lane, holder)
        self._refuse(place, lane, holder, why, now)
        if place.wake is not None:
            place.wake()

    def _refuse(self, place: Place, lane: _Lane, holder: _App, why: Refusal, now: float) -> None:
        """Tell it when its app's share of the service will have reached it.

        Each refusal of an app is told a later time than the one before, so
        that they do not all come back at once to be refused again.
        """
        place.state = State.REFUSED
        place.refusal = why
        slots = self._batch_slots if place.priority == "batch" else self._slots
        share_seconds = max(1, len(lane.queued)) * self._slot_seconds / slots if slots else MAX_RETRY_SECONDS
        place.retry_seconds = min(max(holder.appointment - now, 0.0) + share_seconds, MAX_RETRY_SECONDS)
        holder.appointment = now + place.retry_seconds

    def _measure(self, slot_seconds: float) -> None:
        self._measured += 1
        share = max(_SMOOTHING, 1 / self._measured)
        slot_seconds = max(slot_seconds, _SHORTEST_SECONDS)
        self._slot_seconds += (slot_seconds - self._slot_seconds) * share
