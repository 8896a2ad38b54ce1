"""The energy of a period, from a real Prometheus with a known history, and from servers that are none."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from appliance.errors import EnergyUnknown, PrometheusUnavailable
from appliance.health import prometheus
from appliance.health.prometheus import Prometheus
from tests import prometheus_server
from tests.cli.foreground import free_port

HOUR = 3600
#: The history is of this long ago, so that its hours are over and kept.
BEGAN = (int(time.time()) // (2 * HOUR)) * 2 * HOUR - 72 * HOUR
HOURS = 24
NEW, OLD = "127.0.0.1:9400", "127.0.0.1:9401"


def history() -> str:
    """A day of 450 W with a reboot and a gap at one exporter, and ten hours of a card that counts no energy."""
    energy, power = [], []
    for second in range(0, HOURS * HOUR + 1, 60):
        hour = second / HOUR
        if not 16 < hour < 18:  # Prometheus did not run; the cards went on counting
            since_boot = second - 13 * HOUR if hour >= 13 else second + 500_000
            for job in ("gpu", "gpu-again"):
                energy.append(_line("energy_joules_total", job, NEW, 0, 350 * since_boot, second))
                energy.append(_line("energy_joules_total", job, NEW, 1, 100 * since_boot, second))
        if hour <= 10:
            power.append(_line("power_watts", "gpu", OLD, 0, 70 if second % 120 else 80, second))
    return "\n".join(
        [
            "# TYPE appliance_gpu_energy_joules counter",
            *energy,
            "# TYPE appliance_gpu_power_watts gauge",
            *power,
            "# EOF\n",
        ]
    )


def _line(name: str, job: str, instance: str, gpu: int, value: float, second: int) -> str:
    labels = f'job="{job}",instance="{instance}",gpu="{gpu}"'
    return f"appliance_gpu_{name}{{{labels}}} {value} {BEGAN + second}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    directory = tmp_path_factory.mktemp("prometheus")
    prometheus_server.backfill(directory, history())
    with prometheus_server.running(directory) as url:
        yield Prometheus(url)


@pytest.mark.process
def test_a_reboot_and_a_gap_are_in_the_sum_and_a_card_that_is_read_twice_counts_once(server: Prometheus) -> None:
    found = prometheus.energy(server, BEGAN, BEGAN + HOURS * HOUR, NEW)
    # What the last minute before the reboot took is lost: 0.07 %.
    assert found.joules == pytest.approx(450 * HOURS * HOUR, rel=1e-3)
    assert (found.source, found.exporters) == ("counter", (NEW,))
    assert (found.since, found.until) == (pytest.approx(BEGAN, abs=300), pytest.approx(BEGAN + HOURS * HOUR, abs=300))


@pytest.mark.process
def test_a_history_shorter_than_the_period_says_from_when_to_when_it_is(server: Prometheus) -> None:
    found = prometheus.energy(server, BEGAN - 30 * HOUR, BEGAN + 40 * HOUR, NEW)
    assert found.joules == pytest.approx(450 * HOURS * HOUR, rel=1e-3)
    assert (found.since, found.until) == (pytest.approx(BEGAN, abs=600), pytest.approx(BEGAN + HOURS * HOUR, abs=600))


@pytest.mark.process
def test_one_hour_out_of_many_is_an_hours_energy(server: Prometheus) -> None:
    found = prometheus.energy(server, BEGAN + 4 * HOUR, BEGAN + 5 * HOUR, NEW)
    assert found.joules == pytest.approx(450 * HOUR, rel=1e-3)


@pytest.mark.process
def test_a_card_that_counts_no_energy_is_estimated_by_its_power(server: Prometheus) -> None:
    found = prometheus.energy(server, BEGAN, BEGAN + 10 * HOUR, OLD)
    assert found.joules == pytest.approx(75 * 10 * HOUR, rel=0.02)
    assert found.source == "power"


@pytest.mark.process
def test_cards_of_all_exporters_are_added_unless_one_is_named(server: Prometheus) -> None:
    found = prometheus.energy(server, BEGAN, BEGAN + 10 * HOUR)
    assert found.joules == pytest.approx((450 + 75) * 10 * HOUR, rel=0.02)
    assert (found.source, found.exporters) == ("power", (NEW, OLD))


@pytest.mark.process
@pytest.mark.parametrize(("since", "exporter"), [(-200, ""), (0, "elsewhere:9400"), (0, 'x"} or vector(1) or y{a="')])
def test_what_it_does_not_know_is_unknown_and_not_nothing(server: Prometheus, since: int, exporter: str) -> None:
    with pytest.raises(EnergyUnknown):
        prometheus.energy(server, BEGAN + since * HOUR, BEGAN + since * HOUR + HOUR, exporter)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[Prometheus, list[str]]]:
    """A server with one answer, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("location", "http://192.0.2.1/")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield Prometheus(f"http://127.0.0.1:{listener.server_port}/prefix"), asked
        listener.shutdown()


def vector(*values: str) -> bytes:
    result: list[dict[str, Any]] = [
        {"metric": {"gpu": str(gpu)}, "value": [1.0, value]} for gpu, value in enumerate(values)
    ]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def test_query_and_time_are_in_the_address_below_its_path() -> None:
    with answering(200, vector("1.5", "NaN", "+Inf")) as (server, asked):
        assert server.ask('up{job="gpu"}', 1_767_268_800.25) == [({"gpu": "0"}, 1.5)]
    assert asked == ["/prefix/api/v1/query?query=up%7Bjob%3D%22gpu%22%7D&time=1767268800.250"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>Grafana</html>"),
        (200, b"[]"),
        (200, b'{"data":{"result":[1,"2"]}}'),
        (200, b'{"data":{"result":[{"metric":{},"value":[1]}]}}'),
        (200, b"x" * 3_000_000),
        (302, b""),
        (400, b'{"status":"error","errorType":"bad_data","error":"parse error"}'),
        (503, b"Service Unavailable"),
    ],
)
def test_what_does_not_answer_like_prometheus_is_told_of(status: int, body: bytes) -> None:
    with answering(status, body) as (server, asked), pytest.raises(PrometheusUnavailable, match=f"status {status}"):
        server.ask("up", 1.0)
    assert len(asked) == 1


def test_nobody_there_is_told_of_with_the_remedy() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(PrometheusUnavailable, match="Connection refused") as refused:
        Prometheus(url).ask("up", 1.0)
    assert url in refused.value.message
    assert "energy.prometheus_url" in refused.value.remedy


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with answering(200, vector()) as (server, _):
        assert server.ask("up", 1.0) == []
