"""The gateway's counts as Prometheus text.

Written family by family with a turn of the event loop between them, so that a
scrape holds up no stream for longer than its largest family takes (5
microseconds a series), and at most once a second, however often it is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

import appliance
from appliance.core.metric import Family, Histogram
from appliance.gateway.families import BY_NAME, CLASSES, FAMILIES, KINDS
from appliance.gateway.metrics import Metrics, Series, Times, code
from appliance.gateway.operations import ROUTES

FRESH_SECONDS = 1.0
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_Histograms = dict[tuple[str, ...], Histogram]


class Exposition:
    """The text of :class:`Metrics`.

    Args:
        metrics: the counts.
        fresh_seconds: how long a text is given again before another is made.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        fresh_seconds: float = FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._fresh = fresh_seconds
        self._clock = clock
        self._process = ProcessCollector(registry=CollectorRegistry())
        self._made_at = float("-inf")
        self._text = b""
        self._one_at_a_time = asyncio.Lock()

    async def text(self) -> bytes:
        """The whole text."""
        async with self._one_at_a_time:
            if self._clock() - self._made_at >= self._fresh:
                parts = []
                for family in self.families():
                    parts.append(generate_latest(_One(family)))
                    await asyncio.sleep(0)
                self._text, self._made_at = b"".join(parts), self._clock()
            return self._text

    def families(self) -> Iterator[Metric]:
        """Every family with its values now, as ``prometheus_client`` takes them."""
        histograms, counts = self._histograms(), self._counts()
        for family in FAMILIES:
            if family.name in histograms:
                yield _histogram(family, histograms[family.name])
            elif family.name in counts:
                yield _plain(family, counts[family.name])
            elif family.name in self._metrics.watched:
                yield _plain(family, self._metrics.watched[family.name]())
        for metric in self._process.collect():
            # As in the table, so that the page says what is exposed.
            metric.documentation = BY_NAME[_shown_name(metric)].text
            yield metric

    def _counts(self) -> dict[str, float | Series]:
        metrics = self._metrics
        return {
            "appliance_requests_total": {
                (route, code(status), app): count for (route, status, app), count in metrics.requests.items()
            },
            "appliance_requests_open": metrics.requests_open,
            "appliance_refusals_total": {(reason,): count for reason, count in metrics.refusals.items()},
            # Of every route from the start: a rate needs the zero before the first.
            "appliance_cancelled_total": {(route,): metrics.cancelled.get(route, 0) for route in ROUTES},
            "appliance_streams_open": metrics.streams_open,
            "appliance_tokens_total": {
                (kind, app): counts[place] for app, counts in metrics.tokens.items() for place, kind in enumerate(KINDS)
            },
            "appliance_build_info": {(appliance.__version__,): 1},
        }

    def _histograms(self) -> dict[str, _Histograms]:
        def by_class(read: Callable[[Times], Histogram]) -> _Histograms:
            return {(name,): read(self._metrics.times[name]) for name in CLASSES}

        return {
            "appliance_request_seconds": by_class(lambda times: times.request),
            "appliance_time_to_first_token_seconds": by_class(lambda times: times.first_token),
            "appliance_time_between_tokens_seconds": by_class(lambda times: times.between_tokens),
            "appliance_queue_seconds": by_class(lambda times: times.queue),
            "appliance_engine_seconds": by_class(lambda times: times.engine),
            "appliance_gateway_seconds": {(): self._metrics.gateway_time},
        }


class _One:
    """A registry of one family."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def _plain(family: Family, values: float | Series) -> Metric:
    kind: type[CounterMetricFamily | GaugeMetricFamily] = (
        CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    )
    metric = kind(family.name, family.text, labels=family.labels)
    series = values if isinstance(values, Mapping) else {(): values}
    for labels, value in series.items():
        metric.add_metric(labels, value)
    return metric


def _histogram(family: Family, values: _Histograms) -> Metric:
    metric = HistogramMetricFamily(family.name, family.text, labels=family.labels)
    for labels, histogram in values.items():
        metric.add_metric(labels, histogram.cumulative(), histogram.total)
    return metric


def _shown_name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name
