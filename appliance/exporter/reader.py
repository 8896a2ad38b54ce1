"""The one thread that calls NVML, and the scrapes that wait for it with a deadline.

A call of NVML can hang for as long as the driver does, and no thread can be
ended from outside. So the calls are made here, and who wants a reading waits only
so long; while the thread hangs, later ones do not wait at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from appliance import logs
from appliance.exporter.metrics import Sample
from appliance.exporter.survey import Survey

_log = logs.get(__name__)

#: How long a scrape waits. The bar is 2 s for the whole answer.
DEADLINE_SECONDS = 1.5


class Reader(threading.Thread):
    """Reads when asked. Those who ask while it reads share the reading.

    Args:
        survey: what to read.
        deadline_seconds: longest wait of :meth:`samples`.
        clock: seconds that only ever grow.
    """

    def __init__(
        self, survey: Survey, deadline_seconds: float = DEADLINE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(name="nvml-reader", daemon=True)
        self._survey = survey
        self._deadline_seconds = deadline_seconds
        self._clock = clock
        self._state = threading.Condition()
        self._wanted = False
        self._stopping = False
        self._busy_since: float | None = None
        self._in_reading = False
        self._readings = 0
        self._latest: list[Sample] | None = None

    def samples(self) -> list[Sample]:
        """A reading made for this call or begun shortly before it; what is known without one if it takes too long."""
        with self._state:
            if self._busy_since is not None and self._clock() - self._busy_since >= self._deadline_seconds:
                return self._survey.unread("hung")
            awaited = self._readings + 1
            if not self._in_reading:
                self._wanted = True
                self._state.notify_all()
            if not self._state.wait_for(lambda: self._readings >= awaited, self._deadline_seconds):
                return self._survey.unread("hung")
            latest = self._latest
        return self._survey.unread("error") if latest is None else latest

    def run(self) -> None:
        """Read whenever it is wanted, and make the slow measurements afterwards."""
        while self._begin():
            self._finish(self._read())
            self._guarded(self._survey.measure)
            with self._state:
                self._busy_since = None
        self._guarded(self._survey.close)

    def stop(self, patience_seconds: float = 2.0) -> None:
        """End the thread and give NVML back; a call that hangs is left behind."""
        with self._state:
            self._stopping = True
            self._state.notify_all()
        self.join(patience_seconds)

    def _begin(self) -> bool:
        with self._state:
            self._state.wait_for(lambda: self._wanted or self._stopping)
            if self._stopping:
                return False
            self._wanted = False
            self._in_reading = True
            self._busy_since = self._clock()
            return True

    def _finish(self, latest: list[Sample] | None) -> None:
        with self._state:
            self._latest = latest
            self._readings += 1
            self._in_reading = False
            self._state.notify_all()

    def _read(self) -> list[Sample] | None:
        found: list[Sample] = []
        return found if self._guarded(lambda: found.extend(self._survey.read())) else None

    def _guarded(self, work: Callable[[], None]) -> bool:
        try:
            work()
        # The thread's outer edge: were it to end by any fault of ours, every scrape would say that the GPU hangs.
        except Exception as err:  # noqa: BLE001
            _log.error("reading failed", error=type(err).__name__)
            return False
        return True
