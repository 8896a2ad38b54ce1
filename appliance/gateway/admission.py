"""Waiting for a slot at the engine: the event loop's side of ``core.admission``.

A request that finds a slot free passes without a task, a timer or a future. One
that waits has a future; one timer serves all of them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path

from appliance import logs
from appliance.core import admission
from appliance.core.admission import Bounds, Place, Priority, Refusal, State
from appliance.core.timetable import Timetable
from appliance.errors import EngineBusy, EngineUnavailable
from appliance.gateway.caller import Caller
from appliance.gateway.engine_client import Abandoned
from appliance.settings import GatewaySettings

_log = logs.get(__name__)
#: Longest time between two looks at deadlines, the timetable and the engine while anybody waits.
TICK_SECONDS = 1.0
#: Of an engine that does not say how many sequences it generates at once.
USUAL_SLOTS = 256
_WORDS = {
    Refusal.APP_FULL: "This app has too many requests waiting already.",
    Refusal.FULL: "The model is busy and too many requests are waiting already.",
    Refusal.DEADLINE: "The model was busy for too long; the request waited and was not begun.",
}


class Admission:
    """Lets requests through to the engine, a bounded number at a time.

    Args:
        settings: slots, bounds and the timetable.
        sequences_path: where the engine's process notes how many sequences it generates at once.
        is_hung: whether the engine is known to generate nothing.
        clock: monotonic seconds.
        local_time: the local wall clock, for the timetable.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        sequences_path: Path,
        *,
        is_hung: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        local_time: Callable[[], time.struct_time] = time.localtime,
    ) -> None:
        self._settings = settings
        self._sequences_path = sequences_path
        self._is_hung = is_hung
        self._clock = clock
        self._local_time = local_time
        self._timetable = Timetable.parse(settings.interactive_hours)
        self._timer: asyncio.TimerHandle | None = None
        bounds = Bounds(
            waiting=settings.max_waiting_requests,
            waiting_per_app=settings.max_waiting_requests_per_app,
            waiting_bytes=settings.max_waiting_bytes,
            deadline_seconds=settings.queue_deadline_seconds,
            weights=settings.app_weights,
        )
        self._queue = admission.Admission(settings.max_running_requests or USUAL_SLOTS, bounds)
        self._follow_timetable()

    @property
    def slots(self) -> int:
        """Sequences that the engine is given at once."""
        return self._queue.slots

    @property
    def running(self) -> int:
        """Sequences that the engine has."""
        return self._queue.running

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return self._queue.waiting

    def waiting_in(self, priority: Priority) -> int:
        """Requests of a class that wait."""
        return self._queue.waiting_in(priority)

    def engine_started(self) -> None:
        """Learn how many sequences the engine generates at once, where the settings do not say."""
        if self._settings.max_running_requests is not None:
            return
        sequences = _read(self._sequences_path)
        # An eighth more: the next request is at the engine already when one of its own ends.
        slots = USUAL_SLOTS if sequences is None else sequences + max(1, sequences // 8)
        self._queue.resize(self._clock(), slots=slots)
        _log.info("slots set", count=slots)

    async def enter(self, app: str, priority: Priority, sequences: int, size_bytes: int, caller: Caller) -> Place:
        """Wait for a slot. Whoever got one must :meth:`leave`.

        Args:
            app: who asks.
            priority: class of its key.
            sequences: how many the engine generates at once for it.
            size_bytes: of what is kept in memory meanwhile.
            caller: may leave meanwhile.

        Raises:
            EngineBusy: the queue is full, or no slot became free in time.
            EngineUnavailable: the engine stopped generating meanwhile.
            Abandoned: the client left while it waited.
        """
        if priority == "batch":
            self._follow_timetable()
        place = self._queue.arrive(app, priority, self._clock(), sequences=sequences, size_bytes=size_bytes)
        if place.state is State.ADMITTED:
            return place
        admitted = False
        try:
            if place.state is State.WAITING:
                await self._decided(place, caller)
            self._require(place, caller)
            admitted = True
        finally:
            if not admitted:
                self.leave(place, served=False)
        return place

    def leave(self, place: Place, *, served: bool) -> None:
        """Give the slot to the next.

        Args:
            place: from :meth:`enter`.
            served: whether the engine answered in full.
        """
        self._queue.leave(place, self._clock(), served=served)

    async def _decided(self, place: Place, caller: Caller) -> None:
        """Wait until the place is admitted or refused, or the client has gone."""
        decided = asyncio.get_running_loop().create_future()

        def wake(_: object = None) -> None:
            if not decided.done():
                decided.set_result(None)

        place.wake = wake
        caller.on_leave(wake)
        self._arm()
        try:
            await decided
        finally:
            caller.forget(wake)

    def _require(self, place: Place, caller: Caller) -> None:
        if caller.has_gone:
            raise Abandoned
        if self._is_hung():  # it would only wait again
            raise EngineUnavailable(headers={"retry-after": "5"})
        if place.state is State.ADMITTED:
            return
        milliseconds = math.ceil(place.retry_seconds * 1000)
        raise EngineBusy(
            _WORDS[place.refusal or Refusal.DEADLINE],
            headers={
                "retry-after": str(math.ceil(milliseconds / 1000)),
                "retry-after-ms": str(milliseconds),
                "x-should-retry": "true",
            },
        )

    def _arm(self) -> None:
        deadline = self._queue.next_deadline()
        if self._timer is None and deadline is not None:
            wait = min(max(deadline - self._clock(), 0.0), TICK_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._is_hung():
            self._queue.dismiss(self._clock())
        self._queue.expire(self._clock())
        self._follow_timetable()
        self._arm()

    def _follow_timetable(self) -> None:
        now = self._local_time()
        held = self._timetable.holds(now.tm_wday, now.tm_hour * 60 + now.tm_min)
        self._queue.resize(self._clock(), batch_share=self._settings.batch_share if held else 1.0)


def _read(path: Path) -> int | None:
    """The noted number of sequences, None where there is none: any OpenAI-shaped server may stand behind the socket."""
    try:
        return max(1, int(path.read_text(encoding="ascii")))
    except (OSError, ValueError):
        return None
