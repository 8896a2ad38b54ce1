"""From the engine to the client: bytes pass on as they are, and a client that leaves ends the work.

vLLM stops generating when its connection closes, so leaving closes it at once.
"""

from __future__ import annotations

import time
from typing import Any

from appliance.core import error_body, response_object
from appliance.core.admission import Place
from appliance.core.event_stream import EventStream, Usage
from appliance.core.response_object import ResponseHead
from appliance.core.response_stream import ResponseStream
from appliance.errors import EngineFailed, EngineUnavailable
from appliance.gateway.admission import Admission
from appliance.gateway.asgi import Send, respond
from appliance.gateway.cache_salt import CacheSalt
from appliance.gateway.caller import Caller
from appliance.gateway.engine_client import Abandoned, EngineClient, EngineResponse
from appliance.gateway.exchange import Exchange
from appliance.gateway.metrics import Metrics, Pace
from appliance.gateway.operations import EMBEDDINGS
from appliance.gateway.privacy import Forwarded
from appliance.gateway.readiness import Probe

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # nginx and its kin would otherwise hold a stream back to fill a buffer.
    (b"x-accel-buffering", b"no"),
]


class Relay:
    """Send a cleaned request to the engine and its answer to the client.

    Args:
        engine: the client of the engine's socket.
        probe: told of every real generation and of every loss.
        admission: the queue in front of the engine.
        salt: of the engine's prefix cache.
        metrics: told the pace of streams.
    """

    def __init__(
        self, engine: EngineClient, probe: Probe, admission: Admission, salt: CacheSalt, metrics: Metrics
    ) -> None:
        self._engine = engine
        self._probe = probe
        self._admission = admission
        self._salt = salt
        self._metrics = metrics

    async def __call__(self, path: str, request: Forwarded, this: Exchange, caller: Caller, send: Send) -> None:
        """Relay one request.

        Args:
            path: the engine's route.
            request: what the engine gets.
            this: told the model, the usage and how it ended.
            caller: may leave meanwhile.
            send: ASGI send.

        Raises:
            ApplianceError: the engine is busy, refused, failed, fell silent or is gone.
        """
        this.model = request.model
        this.stream = request.stream
        if self._probe.is_hung:
            raise EngineUnavailable(headers={"retry-after": "5"})
        place: Place | None = None
        response: EngineResponse | None = None
        served = False
        try:
            place = await self._wait(request, this, caller)
            this.engine_started = time.monotonic()
            if this.on_engine is not None:
                this.on_engine()
            payload = request.payload
            if path != EMBEDDINGS:  # they have no prefix cache
                payload = self._salt.into(payload, this.grant.account if this.grant is not None else "")
            response = await self._engine.request("POST", path, payload, request_id=this.request_id, caller=caller)
            if response.status != 200:
                raise error_body.from_engine(response.status, await response.read(), request.prompt_field)
            if request.stream:
                await self._stream(response, request, this, caller, send)
            else:
                await self._whole(response, request, this, caller, send)
            served = True
        except Abandoned:
            this.cancelled = True
        except EngineUnavailable:
            self._probe.lost()
            raise
        finally:
            if response is not None:
                response.close()
            if place is not None:
                self._admission.leave(place, served=served)

    async def _wait(self, request: Forwarded, this: Exchange, caller: Caller) -> Place:
        """Take a slot at the engine, and note how long that took, also when it came to nothing."""
        began = time.monotonic()
        try:
            return await self._admission.enter(this.app, this.priority, request.sequences, len(request.payload), caller)
        finally:
            this.queue_seconds += time.monotonic() - began

    async def _whole(
        self, response: EngineResponse, request: Forwarded, this: Exchange, caller: Caller, send: Send
    ) -> None:
        body = await response.read()
        this.cancelled = caller.has_gone
        this.engine_ended = time.monotonic()
        if not body.startswith(b"{"):
            raise EngineFailed
        this.usage = Usage.of(body)
        self._probe.generated()
        if request.echo is not None:
            body = response_object.translate(body, _head(request.echo, this))
        await respond(send, 200, body, [])

    async def _stream(
        self, response: EngineResponse, request: Forwarded, this: Exchange, caller: Caller, send: Send
    ) -> None:
        events = EventStream(show_usage=request.show_usage, choices=request.choices)
        translation: ResponseStream | None = None
        if request.echo is not None:
            translation = ResponseStream(_head(request.echo, this))
            this.render_failure = translation.fail
        pace = Pace(self._metrics, this)
        started = False
        try:
            while not events.failed:
                data = await response.pieces()
                if caller.has_gone and not events.done:
                    this.cancelled = True  # what still came of it nobody gets
                if not data:
                    break
                data = events.feed(data)
                if translation is not None:
                    data = translation.feed(data)
                if not data:
                    continue
                if not started:
                    # Not before the first event: an engine that fails at once still gets its true status.
                    started = True
                    await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
                pace.piece(time.monotonic())
                self._probe.generated()
                await send({"type": "http.response.body", "body": data, "more_body": True})
        finally:
            pace.end(time.monotonic())
            this.usage = events.usage
        if events.failed or not events.done:
            raise EngineFailed
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _head(echo: dict[str, Any], this: Exchange) -> ResponseHead:
    return ResponseHead(f"resp_{this.request_id.removeprefix('req-')}", int(time.time()), echo)
