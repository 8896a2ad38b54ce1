"""The audit is verified when that is due, over a real database, and not sooner."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from appliance.core import upkeep_note
from appliance.core.audit_chain import Record
from appliance.core.upkeep import Outcome
from appliance.core.upkeep_note import Note
from appliance.errors import StateUnusable
from appliance.gateway.record_reader import RecordReader
from appliance.gateway.record_store import RecordStore
from appliance.health import audit

DAY = 86_400.0
NOW = time.time()


class Verifier:
    """Verifies a real database and counts how often."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "records.sqlite3"
        self.note = state_dir / "audit.json"
        self.times = 0
        with closing(RecordStore(self.path)) as store:
            store.append([Record("whole", 1_767_268_800_000, f"r{n}", app="homework", method="POST") for n in range(9)])

    def __call__(self) -> Note:
        self.times += 1
        note = upkeep_note.of_audit(RecordReader(self.path).verify(), NOW)
        self.note.write_bytes(upkeep_note.encode(note))
        return note

    def look(self, later: float = 0.0) -> Outcome:
        return audit.look(self.note, NOW + later, DAY, self)


@pytest.fixture
def verifier(state_dir: Path) -> Verifier:
    return Verifier(state_dir)


def intact(outcome: Outcome) -> float | None:
    return next((float(s.value) for s in outcome.samples if s.name == "appliance_audit_intact"), None)


def test_audit_is_verified_once_a_day(verifier: Verifier) -> None:
    for later, times in ((0.0, 1), (300.0, 1), (DAY - 1, 1), (DAY, 2)):
        outcome = verifier.look(later)
        assert (outcome.findings[0].state, intact(outcome), verifier.times) == ("good", 1, times)


def test_one_flipped_byte_is_found_and_stays_until_verified_again(verifier: Verifier) -> None:
    whole = verifier.path.read_bytes()
    place = whole.index(b"homework")
    verifier.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    outcome = verifier.look()
    assert (outcome.findings[0].state, intact(outcome), outcome.looked) == ("bad", 0, True)
    assert "record " in outcome.findings[0].text.english
    verifier.path.write_bytes(whole)
    assert intact(verifier.look(300.0)) == 0
    assert intact(verifier.look(DAY)) == 1


def test_result_that_cannot_be_read_is_as_none(verifier: Verifier) -> None:
    verifier.note.write_text("half of {")
    assert intact(verifier.look()) == 1
    assert verifier.times == 1


def test_audit_that_cannot_be_read_is_no_verdict_and_keeps_the_old_one_with_its_time(verifier: Verifier) -> None:
    verifier.look()

    def refuse() -> Note:
        raise StateUnusable("The seal of the records cannot be read.", remedy="Run it as root.")

    outcome = audit.look(verifier.note, NOW + 2 * DAY, DAY, refuse)
    assert (outcome.findings[0].state, outcome.looked, intact(outcome)) == ("unknown", False, 1)
    times = [s.value for s in outcome.samples if s.name == "appliance_audit_verified_timestamp_seconds"]
    assert times == [NOW]
    assert outcome.findings[0].text.english == "The seal of the records cannot be read."
    verifier.note.unlink()
    assert audit.look(verifier.note, NOW, DAY, refuse).samples == ()
