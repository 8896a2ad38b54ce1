"""The outermost layer: whatever goes wrong inside leaves in the OpenAI error form.

It also names the request (``x-request-id``, always made here and never taken
from the client: CVE-2026-116176) and counts its time.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException

from appliance import logs
from appliance.core import error_body
from appliance.errors import ApplianceError, InvalidRequest, MethodNotAllowed, RouteNotFound
from appliance.gateway import exchange
from appliance.gateway.asgi import ASGIApp, Message, Receive, Scope, Send, respond
from appliance.gateway.exchange import Exchange
from appliance.gateway.metrics import Metrics

_log = logs.get(__name__)
_ID_BYTES = 16
_IDS_AT_ONCE = 64


class Failures:
    """Turn every exception into an answer, and log how each request ended.

    Args:
        app: the layers inside.
        label: names the route of a path for log and metrics.
        metrics: count every request, where there are some.
    """

    def __init__(self, app: ASGIApp, label: Callable[[str], str], metrics: Metrics | None = None) -> None:
        self.app = app
        self._label = label
        self._metrics = metrics
        self._random = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other ASGI scopes pass untouched."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        this = Exchange(
            request_id=self._new_id(),
            route=self._label(scope["path"]),
            method=scope["method"],
            started=time.monotonic(),
        )
        exchange.attach(scope, this)
        if self._metrics is not None:
            self._metrics.began()
        answer = _Answer(this, send)
        try:
            await self.app(scope, receive, answer.send)
        except ApplianceError as err:
            await answer.fail(err)
        except HTTPException as err:
            await answer.fail(routing_error(err))
        except Exception as err:  # noqa: BLE001  the process boundary: no traceback reaches a client or the log
            _log.error("unexpected failure", request_id=this.request_id, error=type(err).__name__)
            await answer.fail(ApplianceError())
        now = time.monotonic()
        if self._metrics is not None:
            self._metrics.finished(this, now)
        # The audit is the record of requests; the log keeps what an operator has to look at.
        if this.status >= 500:
            self._log_request(this, now, _log.warning)
        elif _log.is_enabled_for(logging.DEBUG):
            self._log_request(this, now, _log.debug)

    def _new_id(self) -> str:
        """128 random bits, drawn from the kernel for many requests at once: each call of it takes 5 us."""
        if not self._random:
            self._random = os.urandom(_ID_BYTES * _IDS_AT_ONCE).hex()
        drawn, self._random = self._random[: 2 * _ID_BYTES], self._random[2 * _ID_BYTES :]
        return f"req-{drawn}"

    def _log_request(self, this: Exchange, now: float, log: Callable[..., None]) -> None:
        log(
            "request",
            request_id=this.request_id,
            route=this.route,
            method=this.method,
            status=this.status,
            code=this.error or None,
            key_id=this.key_id or None,
            model=this.model or None,
            stream=this.stream,
            queue_seconds=round(this.queue_seconds, 4),
            duration_seconds=round(now - this.started, 4),
        )


class _Answer:
    """The response as it goes out: adds the gateway's headers, knows what was sent."""

    def __init__(self, this: Exchange, send: Send) -> None:
        self._this = this
        self._send = send
        self._started = False
        self._ended = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            self._this.status = message["status"]
            elapsed_ms = round((time.monotonic() - self._this.started) * 1000)
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", self._this.request_id.encode()),
                (b"openai-processing-ms", str(elapsed_ms).encode()),
                *self._this.response_headers,
                *(self._this.lease.headers(self._this.usage) if self._this.lease is not None else ()),
            ]
        else:
            self._ended = not message.get("more_body", False)
        await self._send(message)

    async def fail(self, err: ApplianceError) -> None:
        """Answer with the error; in a stream that has begun, as its last event."""
        self._this.error = err.key
        if self._ended:
            return
        if self._started:
            self._this.status = err.status
            await self._send({"type": "http.response.body", "body": self._this.render_failure(err), "more_body": False})
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in err.headers.items()]
        await respond(self.send, err.status, error_body.render(err), headers)


def routing_error(err: HTTPException) -> ApplianceError:
    """FastAPI's own refusals: no such path, no such method, a malformed path."""
    if err.status_code == 405:
        return MethodNotAllowed(headers=err.headers)
    if err.status_code == 404:
        return RouteNotFound()
    return InvalidRequest()
