"""Claims about ``gateway.local_day``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from appliance.gateway.local_day import LocalDay


@pytest.fixture(params=["Asia/Seoul", "Europe/Berlin", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneInfo]:
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield ZoneInfo(request.param)
    if before is None:
        monkeypatch.delenv("TZ")
    else:
        monkeypatch.setenv("TZ", before)
    time.tzset()


def test_the_day_changes_at_local_midnight(zone: ZoneInfo) -> None:
    midnight = datetime(2026, 12, 1, tzinfo=zone).timestamp()
    now = [midnight - 0.5]
    today = LocalDay(lambda: now[0])
    assert today() == today()
    assert (today().day, today().seconds_left) == (date(2026, 11, 30).toordinal(), 0.5)
    now[0] = midnight
    assert (today().day, today().seconds_left) == (date(2026, 12, 1).toordinal(), 86_400.0)


def test_a_clock_that_is_set_back_is_followed(zone: ZoneInfo) -> None:
    now = [datetime(2026, 5, 5, 12, tzinfo=zone).timestamp()]
    today = LocalDay(lambda: now[0])
    assert today().day == date(2026, 5, 5).toordinal()
    now[0] -= 86_400
    assert today().day == date(2026, 5, 4).toordinal()


def test_the_day_on_which_the_clock_is_put_forward_has_23_hours(zone: ZoneInfo) -> None:
    now = datetime(2026, 3, 29, tzinfo=zone).timestamp()
    hours = LocalDay(lambda: now)().seconds_left / 3600
    assert hours == (23 if zone.key == "Europe/Berlin" else 24)
