"""What the gateway counts, kept as plain numbers so that a request pays a few microseconds for all of it.

The event loop's thread writes and reads them; ``exposition`` makes the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.core.metric import Histogram
from appliance.errors import ApplianceError
from appliance.gateway.exchange import Exchange
from appliance.gateway.families import (
    BY_NAME,
    CLASSES,
    CLIENT_LEFT,
    ENGINE_BUSY,
    MAX_APPS,
    NO_APP,
    OTHER_APPS,
    reasons,
)

#: Values of a family by the values of its labels.
Series = Mapping[tuple[str, ...], float]


class Times:
    """The histograms of one class of keys."""

    __slots__ = ("between_tokens", "engine", "first_token", "queue", "request")

    def __init__(self) -> None:
        self.request = _histogram("appliance_request_seconds")
        self.first_token = _histogram("appliance_time_to_first_token_seconds")
        self.between_tokens = _histogram("appliance_time_between_tokens_seconds")
        self.queue = _histogram("appliance_queue_seconds")
        self.engine = _histogram("appliance_engine_seconds")


class Metrics:
    """The gateway's counts since its start.

    Attributes:
        requests_open: requests under way.
        streams_open: streams under way.
        times: by class of key.
        gateway_time: what the gateway added.
        requests: by route, status and app.
        tokens: by app: input, output, cached.
        refusals: by reason.
        cancelled: by route.
        watched: values that are read when somebody looks, by name of their family.
    """

    def __init__(self) -> None:
        self.requests_open = 0
        self.streams_open = 0
        self.times: dict[str, Times] = {priority: Times() for priority in CLASSES}
        self.gateway_time = _histogram("appliance_gateway_seconds")
        self.requests: dict[tuple[str, int, str], int] = {}
        self.tokens: dict[str, list[int]] = {}
        self.refusals = dict.fromkeys(reasons(), 0)
        self.cancelled: dict[str, int] = {}
        self.watched: dict[str, Callable[[], float | Series]] = {}
        self._apps = {"": NO_APP, NO_APP: NO_APP, OTHER_APPS: OTHER_APPS}

    def watch(self, **readings: Callable[[], float | Series]) -> None:
        """Have values read at each scrape.

        Args:
            readings: by a family's name without ``appliance_``; they run in the event loop and must be quick.

        Raises:
            KeyError: there is no such family.
        """
        for name, read in readings.items():
            self.watched[BY_NAME[f"appliance_{name}"].name] = read

    def began(self) -> None:
        """Count a request that has come; each must be :meth:`finished`."""
        self.requests_open += 1

    def refused(self, reason: str) -> None:
        """Count a refusal; called from outside for those that never were a request, such as bad HTTP."""
        self.refusals[reason if reason in self.refusals else ApplianceError.key] += 1

    def finished(self, this: Exchange, now: float) -> None:
        """Count a request that is over.

        Args:
            this: all that was noted of it.
            now: monotonic seconds.
        """
        self.requests_open -= 1
        app = self._apps.get(this.app) or self._label(this.app)
        series = (this.route, this.status, app)
        requests = self.requests
        requests[series] = requests.get(series, 0) + 1
        if this.error:
            # A key's own limit refuses before the queue does.
            busy = this.error == "rate_limit_exceeded" and this.queue_seconds
            self.refused(ENGINE_BUSY if busy else this.error)
        if this.cancelled:
            self.cancelled[this.route] = self.cancelled.get(this.route, 0) + 1
        if this.queue_seconds:
            self._generated(this, app, now)

    def _generated(self, this: Exchange, app: str, now: float) -> None:
        """Count the times and tokens of a request that came as far as the queue."""
        times = self.times[this.priority]
        times.queue.observe(this.queue_seconds)
        if not this.engine_started:
            return
        engine_seconds = (this.engine_ended or now) - this.engine_started
        times.engine.observe(engine_seconds)
        if this.first_token:
            times.first_token.observe(this.first_token - this.started)
        if this.usage is not None:
            tokens = self.tokens.get(app)
            if tokens is None:
                tokens = self.tokens[app] = [0, 0, 0]
            tokens[0] += this.usage.input_tokens
            tokens[1] += this.usage.output_tokens
            tokens[2] += this.usage.cached_tokens
        if this.status == 200 and not this.cancelled:
            seconds = now - this.started
            times.request.observe(seconds)
            self.gateway_time.observe(seconds - this.queue_seconds - engine_seconds)

    def _label(self, app: str) -> str:
        """The label of an app that has none yet."""
        if len(self._apps) >= MAX_APPS + 3:
            return OTHER_APPS
        self._apps[app] = app
        return app


class Pace:
    """The pieces of one stream in time.

    Args:
        metrics: told of every piece.
        this: told when the first came and when the engine ended.
    """

    __slots__ = ("_between", "_last", "_metrics", "_this")

    def __init__(self, metrics: Metrics, this: Exchange) -> None:
        self._metrics = metrics
        self._this = this
        self._between = metrics.times[this.priority].between_tokens
        self._last = 0.0

    def piece(self, now: float) -> None:
        """A piece has come that is sent on (monotonic seconds)."""
        if self._last:
            self._between.observe(now - self._last)
        else:
            self._this.first_token = now
            self._metrics.streams_open += 1
        self._last = now

    def end(self, now: float) -> None:
        """No more will come."""
        self._this.engine_ended = now
        if self._last:
            self._metrics.streams_open -= 1


def code(status: int) -> str:
    """The label of a status."""
    return str(status or CLIENT_LEFT)


def _histogram(name: str) -> Histogram:
    return Histogram(BY_NAME[name].buckets)
