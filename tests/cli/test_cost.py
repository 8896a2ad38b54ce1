"""``appliance cost``: against a real Prometheus that scrapes the exporter, and what it says without one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from appliance.cli import cost as command
from appliance.cli.main import app
from appliance.core.audit_chain import Record
from appliance.core.energy import Measured
from appliance.errors import EnergyUnknown
from appliance.gateway.record_store import RecordStore
from appliance.health import prometheus
from tests import prometheus_server
from tests.cli.foreground import free_port, wait_for

WATTS = 350
COMPARE = ("--compare-input-usd", "0.15", "--compare-output-usd", "0.6", "--won-per-usd", "1400")
HOUR = 3600


@pytest.fixture(autouse=True)
def _used(state_dir: Path) -> None:
    """Two apps, just now."""
    now_ms = int(time.time() * 1000)

    def closed(name: str, **fields: Any) -> Record:
        usual = {"method": "POST", "model": "llama", "outcome": "answered", "tokens_from": "engine"}
        return Record("close", now_ms, "r", app=name, **{**usual, **fields})

    with closing(RecordStore(state_dir / "records.sqlite3")) as store:
        store.append(
            [
                closed("homework", input_tokens=3_000_000, output_tokens=750),
                closed("[quiz]", input_tokens=1_000_000, output_tokens=250),
            ]
        )


def cost(state_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["cost", "--state-dir", str(state_dir), *options])


def document(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@contextmanager
def exporter() -> Iterator[int]:
    """The replayed exporter whose card takes so many watts; its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.exporter_process", f"--port={port}", "--watts", str(WATTS)],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.process
def test_cost_of_what_a_real_prometheus_read_from_the_exporter(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.time()
    with exporter() as port, prometheus_server.running(tmp_path, f"127.0.0.1:{port}") as url:
        monkeypatch.setenv("APPLIANCE_ENERGY__PROMETHEUS_URL", url)
        # An hour that has just begun is in the day and in the month; the sum is of the first sample on.
        wait_for(lambda: cost(state_dir, "--json").exit_code == 0 and energy_of(state_dir)["joules"] > 3 * WATTS)
        found = document(cost(state_dir, "--json", *COMPARE))
        shown = cost(state_dir, *COMPARE)
        nowhere = cost(state_dir, "--exporter", "elsewhere:1", "--json")

    assert [period["name"] for period in found["periods"]] == ["today", "this month"]
    for period in found["periods"]:
        energy = period["energy"]
        assert (energy["source"], energy["exporters"]) == ("counter", [f"127.0.0.1:{port}"])
        # Whatever moment the samples were taken, the card took so much each second and not longer than the test runs.
        assert 3 * WATTS < energy["joules"] < WATTS * (time.time() - began + 2)
        assert energy["kwh"] == pytest.approx(energy["joules"] / 3.6e6)
        assert period["won"] == pytest.approx(energy["kwh"] * 141)
        assert period["won_per_1000_output_tokens"] == pytest.approx(period["won"])
        assert [(part["app"], part["share"]) for part in period["apps"]] == [("homework", 0.75), ("[quiz]", 0.25)]
        assert sum(part["won"] for part in period["apps"]) == pytest.approx(period["won"])
        assert period["compared_won"] == pytest.approx((4 * 0.15 + 0.001 * 0.6) * 1400)
    assert shown.exit_code == 0
    assert "[quiz]" in shown.stdout
    assert "at 141 won/kWh, idle time included" in shown.stdout
    assert (nowhere.exit_code, document(nowhere)["periods"][0]["energy"]) == (69, None)


def energy_of(state_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = document(cost(state_dir, "--json"))["periods"][0]["energy"]
    return found


def test_without_prometheus_it_prints_tokens_and_says_what_to_do(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPLIANCE_ENERGY__PROMETHEUS_URL", f"http://127.0.0.1:{free_port()}")
    shown, found = cost(state_dir), cost(state_dir, "--json", *COMPARE)
    assert shown.exit_code == found.exit_code == 69
    assert "4,000,000 in, 1,000 out, 2 requests" in shown.stdout
    assert "GPU energy    unknown" in shown.stdout
    assert "No energy: Prometheus does not answer at http://127.0.0.1:" in shown.stderr
    assert "energy.prometheus_url" in shown.stderr
    answer = document(found)
    assert answer["problem"]["remedy"]
    today = answer["periods"][0]
    assert (today["energy"], today["won"], today["output_tokens"]) == (None, None, 1000)
    assert today["compared_won"] == pytest.approx((4 * 0.15 + 0.001 * 0.6) * 1400)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float, str]]:
    """Periods that energy was asked for; it is 3.6 MJ."""
    periods: list[tuple[float, float, str]] = []

    def energy(_server: prometheus.Prometheus, since: float, until: float, exporter: str) -> Measured:
        periods.append((since, until, exporter))
        return Measured(3_600_000, since, until, exporters=("a",))

    monkeypatch.setattr(prometheus, "energy", energy)
    return periods


def test_a_period_of_ones_own_is_local_time_from_whole_hour_to_whole_hour(
    state_dir: Path, asked: list[tuple[float, float, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Seoul")
    time.tzset()
    try:
        found = document(cost(state_dir, "--since", "2026-03-01", "--until", "2026-03-02T08:40", "--json"))
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    (period,) = found["periods"]
    assert (period["since"], period["until"]) == ("2026-02-28T15:00:00Z", "2026-03-01T23:00:00Z")
    assert asked == [(seconds("2026-02-28T15:00"), seconds("2026-03-01T23:00"), "")]
    assert (period["won"], period["won_per_1000_output_tokens"], period["apps"]) == (141, None, [])


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_today_and_this_month_begin_at_local_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")  # where the clocks were put forward on 29 March 2026
    time.tzset()
    try:
        today, month = command._periods(None, None, seconds("2026-03-29T10:30"))
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert (today.since, month.since) == (seconds("2026-03-28T23:00"), seconds("2026-02-28T23:00"))
    assert today.until == month.until == seconds("2026-03-29T10:30")


@pytest.mark.usefixtures("asked")
def test_a_price_of_zero_switches_the_won_off(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_ENERGY__WON_PER_KWH", "0")
    today = document(cost(state_dir, "--json"))["periods"][0]
    assert (today["won"], today["won_per_1000_output_tokens"], today["energy"]["kwh"]) == (None, None, 1)
    assert "won" not in cost(state_dir).stdout


def test_energy_of_the_day_is_shown_where_the_month_has_none(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def energy(_server: prometheus.Prometheus, since: float, until: float, _exporter: str) -> Measured:
        if energies:
            raise EnergyUnknown
        energies.append(since)
        return Measured(3_600_000, since, until)

    energies: list[float] = []
    monkeypatch.setattr(prometheus, "energy", energy)
    result = cost(state_dir, "--json")
    today, month = document(result)["periods"]
    assert (result.exit_code, today["won"], month["won"]) == (69, 141, None)


@pytest.mark.parametrize(
    "options",
    [
        ("--compare-input-usd", "1"),
        ("--compare-input-usd", "1", "--compare-output-usd", "1"),
        ("--compare-input-usd", "-1", "--compare-output-usd", "1", "--won-per-usd", "1400"),
        ("--until", "2026-03-01"),
        ("--since", "yesterday"),
        ("--since", "2026-03-01", "--until", "2026-02-01"),
        ("--since", "2999-01-01"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_odd_options_are_refused(state_dir: Path, options: tuple[str, ...]) -> None:
    assert cost(state_dir, *options).exit_code == 2


def test_a_box_without_records_is_told_of(tmp_path: Path) -> None:
    assert cost(tmp_path).exit_code != 0
