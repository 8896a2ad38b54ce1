"""The public routes, those of ``operations``. Nothing else exists.

The endpoints are plain ASGI, so that a stream's bytes pass through untouched.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import orjson
from fastapi import APIRouter
from fastapi.routing import APIRoute

from appliance.core.catalogue import Catalogue
from appliance.core.limits import Estimate
from appliance.errors import AuditUnavailable, EmbeddingsNotServed, EngineUnavailable, ModelNotFound
from appliance.gateway import body, caller, exchange
from appliance.gateway.asgi import Receive, Scope, Send, respond
from appliance.gateway.body import ClientGone
from appliance.gateway.caller import Caller
from appliance.gateway.exchange import Exchange
from appliance.gateway.hold import Hold
from appliance.gateway.lease import Lease
from appliance.gateway.operations import CHAT, COMPLETIONS, EMBEDDINGS, OPERATIONS
from appliance.gateway.privacy import Cleaner, Forwarded
from appliance.gateway.readiness import Probe
from appliance.gateway.relay import Relay
from appliance.settings import GatewaySettings

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]


class Routes:
    """The endpoints over what they need.

    Args:
        settings: the caps.
        relay: to the engine.
        probe: readiness and the models.
        hold: lets requests wait while the engine changes its model.
        can_record: whether the audit takes requests.
    """

    def __init__(
        self, settings: GatewaySettings, relay: Relay, probe: Probe, hold: Hold, can_record: Callable[[], bool]
    ) -> None:
        self._settings = settings
        self._can_record = can_record
        self._relay = relay
        self._probe = probe
        self._hold = hold
        self._cleaner = Cleaner(settings)

    def add_to(self, router: APIRouter) -> dict[tuple[str, str], Endpoint]:
        """Add all public routes, and return the endpoints of the fixed paths by ``(method, path)``."""
        fixed: dict[tuple[str, str], Endpoint] = {}
        for operation in OPERATIONS:
            endpoint: Endpoint = getattr(self, operation.handler)
            route = operation.add(router, _PlainRoute)
            if isinstance(route, _PlainRoute):
                route.serve(endpoint)
            if "{" not in operation.path:
                fixed[operation.method, operation.path] = endpoint
        return fixed

    async def chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/chat/completions``."""
        await self._generate(CHAT, self._cleaner.chat, scope, receive, send)

    async def completions(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/completions``."""
        await self._generate(COMPLETIONS, self._cleaner.completion, scope, receive, send)

    async def responses(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/responses``: stateless. The engine is asked for a chat completion; the answer is translated."""
        await self._generate(CHAT, self._cleaner.response, scope, receive, send)

    async def embeddings(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/embeddings``: only with an embedding bundle."""
        try:
            await self._generate(EMBEDDINGS, self._cleaner.embedding, scope, receive, send)
        except ModelNotFound:
            raise EmbeddingsNotServed(param="model") from None

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/models``."""
        if not self._probe.catalogue.models:
            raise EngineUnavailable(headers={"retry-after": "2"})
        listing = {"object": "list", "data": self._catalogue(exchange.of(scope)).cards()}
        await respond(send, 200, orjson.dumps(listing), [])

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/models/{id}``."""
        wanted = scope["path_params"]["model"]
        if not self._probe.catalogue.models:
            raise EngineUnavailable(headers={"retry-after": "2"})
        for card in self._catalogue(exchange.of(scope)).cards():
            if card["id"] == wanted:
                await respond(send, 200, orjson.dumps(card), [])
                return
        raise ModelNotFound(param="model")

    async def live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /health/live``: the gateway runs, whatever the engine does."""
        await respond(send, 200, b'{"status":"live"}', [])

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /health/ready``: a real generation succeeded lately, and a request would be recorded."""
        if not self._probe.is_ready:
            raise EngineUnavailable(headers={"retry-after": "2"})
        if not self._can_record():
            raise AuditUnavailable(headers={"retry-after": "2"})
        await respond(send, 200, b'{"status":"ready"}', [])

    async def _generate(
        self,
        path: str,
        clean: Callable[[bytes, Catalogue], Forwarded],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        this = exchange.of(scope)
        try:
            raw = await body.read(
                scope,
                receive,
                max_bytes=self._settings.max_body_bytes,
                timeout_seconds=self._settings.body_timeout_seconds,
            )
        except ClientGone:
            this.cancelled = True
            return
        if self._hold.is_on:  # not later: a model's name means what is served then
            await self._until_changed(this)
        catalogue = self._catalogue(this)
        request = clean(raw, catalogue)
        if this.lease is not None or request.output_tokens is None:
            request = self._reserved(request, catalogue, this.lease)
        by = caller.of(scope)
        if by is not None:
            await self._relay(path, request, this, by, send)
            return
        by = Caller()
        by.watch(receive)
        try:
            await self._relay(path, request, this, by, send)
        finally:
            by.close()

    def _reserved(self, request: Forwarded, catalogue: Catalogue, lease: Lease | None) -> Forwarded:
        """Reserve what the request may cost; one that names no length gets the one that is left to it.

        Args:
            request: the request.
            catalogue: knows the model's context.
            lease: the key's hold on its limits, if it has any.
        """
        most = self._settings.max_output_tokens
        context = catalogue.context_tokens(request.model)  # 0 where the engine does not say
        left: int | None = None
        if lease is not None:
            longest = min(context or most, most) * request.sequences
            left = lease.reserve_tokens(Estimate.of(len(request.payload), request.output_tokens, longest))
        if request.output_tokens is not None:
            return request
        if left is not None:
            most = min(most, max(1, left // request.sequences))
        if 0 < context <= most:
            return request
        return replace(request, payload=b'{"max_tokens":%d,' % most + request.payload[1:])

    async def _until_changed(self, this: Exchange) -> None:
        """Wait while the engine changes its model; that counts as waiting, not as work of the gateway."""
        began = time.monotonic()
        try:
            await self._hold.passed()
        finally:
            this.queue_seconds = time.monotonic() - began

    def _catalogue(self, this: Exchange) -> Catalogue:
        """The models as the request's key sees them."""
        catalogue = self._probe.catalogue
        return catalogue if this.grant is None else catalogue.narrowed(this.grant.models, this.grant.aliases)


class _PlainRoute(APIRoute):
    """A route whose signature documents it and whose work is a plain ASGI endpoint."""

    def serve(self, endpoint: Endpoint) -> None:
        self.app = endpoint
