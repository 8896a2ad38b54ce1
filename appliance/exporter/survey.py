"""One reading of everything: every collector on every GPU, and what is said when that cannot be done.

Its methods that call NVML belong to one thread, the reader's. ``unread`` may be
called by any: it is what a scrape gets while the reader hangs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from appliance import __version__, logs
from appliance.exporter import xid_watch
from appliance.exporter.collector import Collector
from appliance.exporter.collectors import Collectors
from appliance.exporter.metrics import Family, Sample, states
from appliance.exporter.nvml import (
    DOWN_REASONS,
    UNAVAILABLE_REASONS,
    Gpu,
    GpuDown,
    Library,
    NvmlFailed,
    NvmlUnavailable,
    Versions,
)
from appliance.exporter.xid_watch import XidLedger, XidWatch

_log = logs.get(__name__)

UP = Family("appliance_gpu_up", "gauge", "1 if the card could be read in this scrape.")
DOWN_REASON = Family(
    "appliance_gpu_down_reason", "gauge", "1 for the reason why the card could not be read.", ("gpu", "reason")
)
AVAILABLE = Family("appliance_exporter_nvml_available", "gauge", "1 if NVML could be used in this scrape.", ())
UNAVAILABLE_REASON = Family(
    "appliance_exporter_nvml_unavailable_reason", "gauge", "1 for the reason why NVML could not be used.", ("reason",)
)
DRIVER = Family(
    "appliance_gpu_driver_info",
    "gauge",
    "Always 1; versions of the driver, its NVML and its CUDA.",
    ("driver", "nvml", "cuda"),
)
BUILD = Family("appliance_exporter_build_info", "gauge", "Always 1; version of the exporter.", ("version",))
SUCCESS = Family(
    "appliance_exporter_collector_success",
    "gauge",
    "1 if the collector read every card without a failure; what a card does not have is none.",
    ("collector",),
)
DURATION = Family(
    "appliance_exporter_collector_duration_seconds", "gauge", "Time the collector took over all cards.", ("collector",)
)
FAMILIES = (UP, DOWN_REASON, AVAILABLE, UNAVAILABLE_REASON, DRIVER, BUILD, SUCCESS, DURATION)

#: Shortest time between two attempts to open NVML, and to open it anew because a card is down.
RETRY_SECONDS = 10.0
REOPEN_SECONDS = 30.0
#: How long the XID thread may take to end before NVML is opened anew.
WATCH_PATIENCE_SECONDS = 1.0
#: What an answer of an unexpected form raises in a collector.
_ODD_ANSWERS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass
class _Tally:
    """One collector over all cards."""

    seconds: float = 0.0
    fine: bool = True


class Survey:
    """The exporter's view of the machine.

    Args:
        library: NVML.
        collectors: what to read.
        ledger: the XIDs so far.
        clock: seconds that only ever grow.
        now: seconds since 1970.
    """

    def __init__(
        self,
        library: Library,
        collectors: Collectors,
        ledger: XidLedger,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._library = library
        self._collectors = collectors
        self._ledger = ledger
        self._clock = clock
        self._now = now
        self._gpus: dict[str, Gpu] = {}
        self._down: dict[str, str] = {}
        self._why = "starting"
        self._versions: Versions | None = None
        self._watch: XidWatch | None = None
        self._tried_at = float("-inf")
        # Read by other threads: each is replaced whole, never changed in place.
        self._known: tuple[str, ...] = ()
        self._reading: str | None = None

    def read(self) -> list[Sample]:
        """Read everything now; opens NVML if that is needed and due."""
        self._open_if_due()
        samples: list[Sample] = []
        tallies: dict[str, _Tally] = {}
        for label, gpu in self._gpus.items():
            self._reading = label
            try:
                samples += self._read_gpu(gpu, tallies)
                self._down.pop(label, None)
            except GpuDown as gone:
                self._note_down(label, gone.reason)
        self._reading = None
        return [*self._about(self._why, self._down), *samples, *_about_collectors(tallies)]

    def measure(self) -> None:
        """Make the slow calls, after a scrape was answered."""
        for collector in self._collectors.slow:
            for label, gpu in self._gpus.items():
                if label in self._down:
                    continue
                self._reading = label
                try:
                    collector.measure(gpu)
                except (GpuDown, NvmlFailed, *_ODD_ANSWERS):
                    continue  # the next reading of the card says what is wrong with it
        self._reading = None

    def unread(self, reason: str) -> list[Sample]:
        """What can be said without NVML, while a call hangs.

        Args:
            reason: ``hung``, or ``error`` if the reading itself failed.
        """
        culprit = self._reading
        down = {label: reason if culprit in (None, label) else "unread" for label in self._known}
        return list(self._about("" if culprit else reason, down))

    def close(self) -> None:
        """Stop listening for XIDs and give NVML back."""
        ended = self._watch is None or self._watch.stop(WATCH_PATIENCE_SECONDS)
        self._watch = None
        if self._gpus and ended:  # a watch that hangs still uses NVML: it is then left open and opened once more
            self._library.close()
        self._gpus = {}

    def _open_if_due(self) -> None:
        if self._gpus and not self._down:
            return
        if self._clock() - self._tried_at < (REOPEN_SECONDS if self._gpus else RETRY_SECONDS):
            return
        self._tried_at = self._clock()
        self.close()
        for collector in self._collectors.slow:
            collector.forget()
        try:
            count = self._library.open()
        except NvmlUnavailable as err:
            if err.reason != self._why:
                _log.warning("nvml cannot be used", reason=err.reason)
            self._why = err.reason
            # A card that was there is lost, not forgotten.
            self._down = dict.fromkeys(self._known, "lost" if err.reason == "no_gpu" else "error")
            return
        if self._why:
            _log.info("nvml opened", count=count)
        self._why = ""
        self._take_gpus(count)

    def _take_gpus(self, count: int) -> None:
        self._down = dict.fromkeys(self._known, "lost")
        for index in range(count):
            try:
                self._gpus[str(index)] = self._library.gpu(index)
                self._down.pop(str(index), None)
            except GpuDown as gone:
                self._note_down(str(index), gone.reason)
        self._known = tuple(dict.fromkeys((*self._known, *(str(index) for index in range(count)))))
        if not self._gpus:
            self._library.close()
            return
        try:
            self._versions = self._library.versions()
            events = self._library.events(tuple(self._gpus.values()))
        except (NvmlFailed, GpuDown):
            return
        if events is not None:
            self._watch = XidWatch(events, self._ledger, self._now)
            self._watch.start()

    def _read_gpu(self, gpu: Gpu, tallies: dict[str, _Tally]) -> list[Sample]:
        """Raises GpuDown if the card says so, or if nothing of it can be read."""
        samples: list[Sample] = []
        answered = False
        for collector in self._collectors.every:
            begun_at = self._clock()
            fine = _collect(collector, gpu, samples)
            tally = tallies.setdefault(collector.name, _Tally())
            # A slow one shows what it measured earlier, which says nothing about now.
            answered = answered or (fine and collector not in self._collectors.slow)
            tally.fine = tally.fine and fine
            tally.seconds += self._clock() - begun_at
        if not answered:
            raise GpuDown("error")
        return samples

    def _note_down(self, label: str, reason: str) -> None:
        if self._down.get(label) != reason:
            _log.warning("gpu cannot be read", gpu=label, reason=reason)
        self._down[label] = reason

    def _about(self, why: str, down: dict[str, str]) -> Iterator[Sample]:
        """The exporter's own state, and of every card whether it works and its XIDs."""
        known = self._known
        yield from BUILD.of(1, __version__)
        yield from AVAILABLE.of(float(not why))
        yield from states(UNAVAILABLE_REASON, "", UNAVAILABLE_REASONS, why)
        watch = self._watch
        yield from xid_watch.LISTENING.of(float(watch is not None and watch.listening))
        if self._versions is not None:
            yield from DRIVER.of(1, self._versions.driver, self._versions.nvml, self._versions.cuda)
        for label in known:
            yield from UP.of(float(label not in down), label)
        for label in known:
            yield from states(DOWN_REASON, label, DOWN_REASONS, down.get(label))
        yield from self._ledger.samples(known)


def _collect(collector: Collector, gpu: Gpu, into: list[Sample]) -> bool:
    """Whether the collector came to its end; what it yielded before a failure is kept. Raises GpuDown."""
    try:
        into.extend(collector.collect(gpu))
    except (NvmlFailed, *_ODD_ANSWERS) as err:
        _log.debug("collector failed", source=collector.name, gpu=gpu.label, error=type(err).__name__)
        return False
    return True


def _about_collectors(tallies: dict[str, _Tally]) -> Iterator[Sample]:
    for name, tally in tallies.items():
        yield from SUCCESS.of(float(tally.fine), name)
    for name, tally in tallies.items():
        yield from DURATION.of(tally.seconds, name)
