"""Reading while another writes, and saying why not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from appliance.core.audit_chain import Record
from appliance.errors import StateUnusable
from appliance.gateway.record_reader import RecordReader
from appliance.gateway.record_store import RecordStore

HOUR = 3_600_000


def test_usage_is_read_by_span_of_hours_while_a_gateway_writes(state_dir: Path) -> None:
    path = state_dir / "records.sqlite3"
    with closing(RecordStore(path)) as store:
        store.append([Record("whole", hour * HOUR + 5, f"r{hour}", app="homework", method="POST") for hour in range(5)])
        reader = RecordReader(path)
        assert sorted(place.hour for place in reader.usage()) == [0, 3600, 7200, 10_800, 14_400]
        assert [place.hour for place in reader.usage(3600, 7200)] == [3600]
        with reader.look() as database:
            store.append([Record("whole", 9 * HOUR, "later", app="homework", method="POST")])
            assert database.execute("SELECT count(*) FROM record").fetchone() == (5,)
        assert reader.verify().records == 6


def test_missing_or_foreign_file_is_told_with_the_remedy(state_dir: Path) -> None:
    path = state_dir / "records.sqlite3"
    with pytest.raises(StateUnusable, match="no records"):
        RecordReader(path).usage()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StateUnusable, match="cannot be read"):
        RecordReader(path).verify()
