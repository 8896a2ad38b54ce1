"""XIDs, counted here because NVML and DCGM keep only the last one (dcgm-exporter issue 500)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from appliance import logs
from appliance.exporter import xids
from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import GpuDown, NvmlFailed, XidEvents

_log = logs.get(__name__)

ERRORS = Family(
    "appliance_gpu_xid_errors_total",
    "counter",
    "XIDs since the exporter started, with the action NVIDIA recommends first; other is one not in the catalogue.",
    ("gpu", "xid", "action"),
)
LAST_TIME = Family(
    "appliance_gpu_xid_last_timestamp_seconds",
    "gauge",
    "When this XID came last, in seconds since 1970; absent if it has not.",
    ("gpu", "xid", "action"),
)
LAST_CODE = Family("appliance_gpu_xid_last_code", "gauge", "Number of the last XID of the card; 0 if there was none.")
LISTENING = Family(
    "appliance_exporter_xid_watch_up",
    "gauge",
    "1 while the exporter listens for XIDs, 0 while the driver lets it not.",
    (),
)
FAMILIES = (ERRORS, LAST_TIME, LAST_CODE, LISTENING)

#: Longest wait for an event in one call; how soon a stop is noticed.
WAIT_MILLISECONDS = 500
#: Pause after a failure of the driver, which would otherwise be asked as fast as it fails.
PAUSE_SECONDS = 1.0


class XidLedger:
    """What came so far. It outlives the watch: a lost card's XIDs stay counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count: Counter[tuple[str, int]] = Counter()
        self._last_at: dict[tuple[str, int], float] = {}
        self._last_code: dict[str, int] = {}

    def record(self, gpu: str, number: int, at_seconds: float) -> None:
        """Count one XID of a card that came at this time (seconds since 1970)."""
        with self._lock:
            self._count[gpu, number] += 1
            self._last_at[gpu, number] = at_seconds
            self._last_code[gpu] = number

    def samples(self, gpus: Iterable[str]) -> Iterator[Sample]:
        """Every XID of the catalogue for each card, those that never came as 0, so that a first one shows as a rise."""
        with self._lock:
            count, last_at, last_code = self._count.copy(), self._last_at.copy(), self._last_code.copy()
        for gpu in gpus:
            totals: Counter[tuple[str, str]] = Counter()
            latest: dict[tuple[str, str], float] = {}
            for (owner, number), times in count.items():
                if owner == gpu:
                    labels = xids.label(number)
                    totals[labels] += times
                    latest[labels] = max(last_at[owner, number], latest.get(labels, 0.0))
            for labels in xids.LABELS:
                yield Sample(ERRORS, (gpu, *labels), totals[labels])
            for labels, at_seconds in latest.items():
                yield Sample(LAST_TIME, (gpu, *labels), at_seconds)
            yield Sample(LAST_CODE, (gpu,), last_code.get(gpu, 0))


class XidWatch(threading.Thread):
    """The thread that waits for XIDs.

    Args:
        events: a subscription, which it closes in the end.
        ledger: where they are counted.
        now: seconds since 1970.
    """

    def __init__(self, events: XidEvents, ledger: XidLedger, now: Callable[[], float] = time.time) -> None:
        super().__init__(name="xid-watch", daemon=True)
        self.listening = True
        self._events = events
        self._ledger = ledger
        self._now = now
        self._stopping = threading.Event()

    def run(self) -> None:
        """Wait and count until stopped."""
        while not self._stopping.is_set():
            try:
                came = self._events.wait(WAIT_MILLISECONDS)
            except (NvmlFailed, GpuDown):
                self.listening = False
                self._stopping.wait(PAUSE_SECONDS)
                continue
            self.listening = True
            if came is not None:
                gpu, number = came
                self._ledger.record(gpu, number, self._now())
                _log.warning("xid reported by the driver", gpu=gpu, code=number, remedy=xids.label(number)[1])
        self.listening = False
        self._events.close()

    def stop(self, patience_seconds: float) -> bool:
        """Ask it to end and wait for that; False if it hangs in a call and is left behind."""
        self._stopping.set()
        self.join(patience_seconds)
        return not self.is_alive()
