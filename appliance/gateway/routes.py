"""The public routes: an allowlist. Nothing else exists.

FastAPI routes them and writes the OpenAPI document from their signatures; the
endpoints themselves are plain ASGI, so that a stream's bytes pass through
untouched (docs/benchmarks.md has what that is worth).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import APIRouter
from fastapi.routing import APIRoute

from appliance.core.catalogue import Catalogue
from appliance.errors import EngineUnavailable, ModelNotFound
from appliance.gateway import body, exchange
from appliance.gateway.asgi import Receive, Scope, Send, respond
from appliance.gateway.body import ClientGone
from appliance.gateway.privacy import Cleaner, Forwarded
from appliance.gateway.readiness import Probe
from appliance.gateway.relay import Relay
from appliance.gateway.schemas import ChatCompletionRequest, CompletionRequest, ErrorResponse
from appliance.settings import GatewaySettings

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
MODELS = "/v1/models"
LIVE = "/health/live"
READY = "/health/ready"
_FIXED_PATHS = frozenset({CHAT, COMPLETIONS, MODELS, LIVE, READY})
#: Routes that need no key: a load balancer asks them.
OPEN_PATHS = frozenset({LIVE, READY})

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]
_FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": text}
    for status, text in {
        400: "The request is not valid.",
        401: "No key, or one that is not valid.",
        403: "The key may not do that.",
        404: "No such model.",
        408: "The body did not arrive in time.",
        413: "The body is too large.",
        429: "A limit is reached.",
        500: "The appliance failed.",
        502: "The model failed.",
        503: "The model is not ready.",
        504: "The model did not answer in time.",
    }.items()
}
_JSON = "application/json"


def label(path: str) -> str:
    """The route of a path for logs and metrics: one of a few fixed names, never what a client wrote."""
    if path in _FIXED_PATHS:
        return path
    return f"{MODELS}/{{id}}" if path.startswith(f"{MODELS}/") else "(unknown)"


class Routes:
    """The endpoints over what they need.

    Args:
        settings: the caps.
        relay: to the engine.
        probe: readiness and the models.
    """

    def __init__(self, settings: GatewaySettings, relay: Relay, probe: Probe) -> None:
        self._settings = settings
        self._relay = relay
        self._probe = probe
        self._cleaner = Cleaner(settings)

    def add_to(self, router: APIRouter) -> None:
        """Add all public routes."""
        add = _Adder(router)
        add("POST", CHAT, self.chat, _chat_signature, _answer("A completion, or its event stream."))
        add("POST", COMPLETIONS, self.completions, _completion_signature, _answer("A completion, or a stream."))
        add("GET", MODELS, self.models, _no_body, _json_answer("The names an app may use."))
        add("GET", f"{MODELS}/{{model:path}}", self.model, _model_signature, _json_answer("One of them."))
        add("GET", LIVE, self.live, _no_body, _json_answer("The gateway runs."), protected=False)
        add("GET", READY, self.ready, _no_body, _json_answer("The model answers."), protected=False)

    async def chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/chat/completions``."""
        await self._generate(CHAT, self._cleaner.chat, scope, receive, send)

    async def completions(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/completions``."""
        await self._generate(COMPLETIONS, self._cleaner.completion, scope, receive, send)

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/models``."""
        if not self._probe.catalogue.models:
            raise EngineUnavailable(headers={"retry-after": "2"})
        listing = {"object": "list", "data": self._probe.catalogue.cards()}
        await respond(send, 200, orjson.dumps(listing), [])

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/models/{id}``."""
        wanted = scope["path_params"]["model"]
        if not self._probe.catalogue.models:
            raise EngineUnavailable(headers={"retry-after": "2"})
        for card in self._probe.catalogue.cards():
            if card["id"] == wanted:
                await respond(send, 200, orjson.dumps(card), [])
                return
        raise ModelNotFound(param="model")

    async def live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /health/live``: the gateway runs, whatever the engine does."""
        await respond(send, 200, b'{"status":"live"}', [])

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /health/ready``: a real generation succeeded lately."""
        if not self._probe.is_ready:
            raise EngineUnavailable(headers={"retry-after": "2"})
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
        await self._relay(path, clean(raw, self._probe.catalogue), this, receive, send)


class _PlainRoute(APIRoute):
    """A route whose signature documents it and whose work is a plain ASGI endpoint."""

    def serve(self, endpoint: Endpoint) -> None:
        self.app = endpoint


class _Adder:
    """Adds routes to a router, each with the failures it can answer with."""

    def __init__(self, router: APIRouter) -> None:
        self._router = router

    def __call__(
        self,
        method: str,
        path: str,
        endpoint: Endpoint,
        signature: Callable[..., Any],
        answer: dict[int | str, dict[str, Any]],
        *,
        protected: bool = True,
    ) -> None:
        failures: dict[int | str, dict[str, Any]] = _FAILURES if protected else {503: _FAILURES[503]}
        self._router.add_api_route(
            path,
            signature,
            methods=[method],
            responses={**failures, **answer},
            response_model=None,
            name=endpoint.__name__,
            description=endpoint.__doc__ or "",
            route_class_override=_PlainRoute,
            openapi_extra={"security": [{"key": []}]} if protected else None,
        )
        route = self._router.routes[-1]
        if isinstance(route, _PlainRoute):
            route.serve(endpoint)


def _answer(text: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": text, "content": {_JSON: {"schema": {"type": "object"}}, "text/event-stream": {}}}}


def _json_answer(text: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": text, "content": {_JSON: {"schema": {"type": "object"}}}}}


# What FastAPI reads to document a route; never called.


def _chat_signature(body: ChatCompletionRequest) -> None: ...


def _completion_signature(body: CompletionRequest) -> None: ...


def _model_signature(model: str) -> None: ...


def _no_body() -> None: ...
