"""An exporter over a driver that is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest

from appliance.exporter import collectors, xid_watch
from appliance.exporter.metrics import Sample
from appliance.exporter.nvml import Gpu, Library
from appliance.exporter.survey import Survey
from appliance.exporter.xid_watch import XidLedger
from tests.fakes import nvml
from tests.fakes.nvml import FakeNvml


@dataclass
class Clock:
    """A clock that moves when it is told to."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Rig:
    """A survey and everything around it."""

    driver: FakeNvml
    clock: Clock
    ledger: XidLedger
    library: Library
    survey: Survey

    def read(self) -> dict[tuple[str, ...], float]:
        """A reading as ``{(name, *labels): value}``."""
        return values(self.survey.read())

    def gpu(self) -> Gpu:
        """The first card alone."""
        return self.library.gpu(0)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The XID thread notices at once that it is to end."""
    monkeypatch.setattr(xid_watch, "WAIT_MILLISECONDS", 10)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rig(clock: Clock) -> Iterator[Callable[..., Rig]]:
    """Makes a rig over cards; the recorded H100 if none is given."""
    made: list[Rig] = []

    def make(*cards: nvml.Card) -> Rig:
        driver = FakeNvml(*(cards or (nvml.recorded(),)))
        library = Library(driver, clock)
        ledger = XidLedger()
        survey = Survey(library, collectors.standard(), ledger, clock, now=lambda: 1_700_000_000.0)
        made.append(Rig(driver, clock, ledger, library, survey))
        return made[-1]

    yield make
    for one in made:
        one.driver.released.set()
        one.survey.close()


def values(samples: Iterable[Sample]) -> dict[tuple[str, ...], float]:
    """Samples by name and labels; each must be there once."""
    samples = list(samples)
    found = {(sample.family.name, *sample.labels): sample.value for sample in samples}
    assert len(found) == len(samples), "a sample appears twice"
    return found
