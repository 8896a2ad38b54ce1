"""Asks the box's own Prometheus how much energy the cards used: the only history of it there is.

The cards count joules since the driver was loaded, so what a day took is a
difference that somebody must have kept. ``increase()`` takes a counter that
began anew (a reboot) for what it is. Source: Prometheus, "HTTP API" (instant
queries) and "Query functions".
"""

from __future__ import annotations

import http.client
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from appliance.core.energy import Measured
from appliance.errors import EnergyUnknown, PrometheusUnavailable

ENERGY = "appliance_gpu_energy_joules_total"
POWER = "appliance_gpu_power_watts"
_TIMEOUT_SECONDS = 30.0
#: The answers looked for are a line a card.
_MAX_ANSWER_BYTES = 1_048_576
#: How finely the first and the last sample are looked for: no more looks than this, and none further apart than 5 min,
#: which is how long Prometheus takes a sample for the present.
_LOOKS = 1000
_MAX_STEP_SECONDS = 300

Labels = Mapping[str, str]


class Prometheus:
    """One Prometheus server.

    Args:
        url: its address, as in ``energy.prometheus_url``.
        timeout_seconds: longest wait for an answer.
    """

    def __init__(self, url: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self.url = url
        self._timeout = timeout_seconds

    def ask(self, query: str, at: float) -> list[tuple[Labels, float]]:
        """The series of an instant query, each with its labels; those that are no number are left out.

        Args:
            query: PromQL that gives an instant vector.
            at: Unix seconds.

        Raises:
            PrometheusUnavailable: it does not answer, or not as Prometheus does.
        """
        status, body = self._get(f"/api/v1/query?{urlencode({'query': query, 'time': f'{at:.3f}'})}")
        try:
            return list(_samples(json.loads(body)["data"]["result"]))
        except (ValueError, KeyError, TypeError, IndexError):
            raise PrometheusUnavailable(
                f"What answers at {self.url} does not answer as Prometheus does (status {status})."
            ) from None

    def _get(self, target: str) -> tuple[int, bytes]:
        """Status and body; http.client asks no proxy and follows no redirection."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self._timeout)
        try:
            connection.request("GET", f"{parts.path}{target}")
            response = connection.getresponse()
            return response.status, response.read(_MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as err:
            why = err.strerror if isinstance(err, OSError) and err.strerror else type(err).__name__
            raise PrometheusUnavailable(f"Prometheus does not answer at {self.url} ({why}).") from None
        finally:
            connection.close()


def energy(prometheus: Prometheus, since: float, until: float, exporter: str = "") -> Measured:
    """The energy that the cards used in a period, as far as it was scraped.

    A counter that was not read for a while has gone on counting, so gaps in the
    middle are in the sum; what lies before the first and after the last sample is not.

    Args:
        prometheus: the server.
        since: Unix seconds.
        until: Unix seconds, not in the future.
        exporter: only the cards of this one (label ``instance``); by default of all.

    Raises:
        PrometheusUnavailable: it does not answer.
        EnergyUnknown: it has nothing of that period.
    """
    seconds = math.ceil(until - since)
    which = f"{{instance={json.dumps(exporter)}}}" if exporter else ""
    step = min(_MAX_STEP_SECONDS, max(1, seconds // _LOOKS))
    looked_for = f"(timestamp({ENERGY}{which}) or timestamp({POWER}{which}))"
    # All of the period, and its end finely: a box may have just begun.
    coarse, fine = f"{looked_for}[{seconds}s:{step}s]", f"{looked_for}[{step}s:1s]"
    first = [value for _, value in prometheus.ask(f"min_over_time({coarse}) or min_over_time({fine})", until)]
    last = [value for _, value in prometheus.ask(f"max_over_time({fine}) or max_over_time({coarse})", until)]
    unknown = EnergyUnknown(f"Prometheus at {prometheus.url} knows of no energy in this period.")
    if not first or not last:
        raise unknown
    begin, end = max(since, min(first)), min(until, max(last))
    counted = f"increase({ENERGY}{which}[{seconds}s])"
    estimated = f"avg_over_time({POWER}{which}[{seconds}s]) * {end - begin:.3f}"
    # By card: two jobs that read the same exporter count once.
    cards = prometheus.ask(f"max by (instance, gpu) ({counted} or {estimated})", until)
    if not cards or end <= begin:
        raise unknown
    return Measured(
        sum(joules for _, joules in cards),
        begin,
        end,
        "counter" if len(cards) == len(prometheus.ask(f"max by (instance, gpu) ({counted})", until)) else "power",
        tuple(sorted({labels.get("instance", "") for labels, _ in cards})),
    )


def _samples(result: list[Any]) -> Iterator[tuple[Labels, float]]:
    for series in result:
        value = float(series["value"][1])
        if math.isfinite(value):
            yield dict(series["metric"]), value
