"""The public listener's operations: an allowlist, and the OpenAPI document of it.

FastAPI routes them and writes the document from the signatures here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

import appliance
from appliance.gateway import answer_schemas as answers
from appliance.gateway.response_schemas import ResponseRequest
from appliance.gateway.schemas import ChatCompletionRequest, CompletionRequest, EmbeddingRequest

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"
MODELS = "/v1/models"
LIVE = "/health/live"
READY = "/health/ready"
#: Routes that need no key: a load balancer asks them.
OPEN_PATHS = frozenset({LIVE, READY})

_TEXTS = {
    400: "The request is not valid.",
    401: "No key, or one that is not valid.",
    403: "The key may not do that.",
    404: "No such model.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    421: "The Host header names another machine.",
    429: "A limit of the key or of the box is reached.",
    431: "The headers are too large.",
    500: "The appliance failed.",
    502: "The model failed.",
    503: "The model is not ready.",
    504: "The model did not answer in time.",
}
_ANY = frozenset({400, 421, 431, 500})
_KEYED = _ANY | {401, 403, 429, 503}
_GENERATING = frozenset(_TEXTS)
#: Headers of every response, and those that say when to come back.
_HEADERS = {
    "x-request-id": "The gateway's id of this request, for its operator.",
    "openai-processing-ms": "Milliseconds until the answer began.",
}
_EVENT = {
    "description": "One Server-Sent Event. The data is JSON, or [DONE] at the end; a failure is an event with an error.",
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}
_RETRY = {"retry-after": "Seconds until it is worth trying again."}


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    Args:
        method: HTTP method.
        path: FastAPI's path.
        handler: name of the method of ``Routes`` that serves it.
        operation_id: its id in the document; where OpenAI has the route, the one in OpenAI's.
        summary: what it does.
        signature: what it takes, as FastAPI reads it; never called.
        answer: what it answers.
        failures: statuses it can fail with.
        is_streamed: whether the answer may be an event stream.
    """

    method: str
    path: str
    handler: str
    operation_id: str
    summary: str
    signature: Callable[..., None]
    answer: type[BaseModel]
    failures: frozenset[int]
    is_streamed: bool = False

    def add(self, router: APIRouter, route_class: type[APIRoute] = APIRoute) -> APIRoute:
        """Add it to a router and return its route."""
        content: dict[str, Any] = {"text/event-stream": {"schema": _EVENT}} if self.is_streamed else {}
        responses: dict[int | str, dict[str, Any]] = {
            200: {"model": self.answer, "description": self.answer.__doc__ or "", "content": content},
            **{
                status: {"model": answers.ErrorResponse, "description": _TEXTS[status]}
                for status in sorted(self.failures)
            },
        }
        router.add_api_route(
            self.path,
            self.signature,
            methods=[self.method],
            responses=responses,
            response_model=None,
            operation_id=self.operation_id,
            name=self.handler,
            summary=self.summary,
            description="",
            route_class_override=route_class,
            openapi_extra={"security": [] if self.path in OPEN_PATHS else [{"key": []}]},
        )
        route = router.routes[-1]
        if not isinstance(route, route_class):  # pragma: no cover  FastAPI has just made it
            raise TypeError
        return route


def _chat(body: ChatCompletionRequest) -> None: ...


def _completion(body: CompletionRequest) -> None: ...


def _response(body: ResponseRequest) -> None: ...


def _embedding(body: EmbeddingRequest) -> None: ...


def _model(model: str) -> None: ...


def _nothing() -> None: ...


OPERATIONS = (
    Operation(
        "POST", CHAT, "chat", "createChatCompletion", "Answer a conversation.",
        _chat, answers.ChatCompletion, _GENERATING, is_streamed=True,
    ),
    Operation(
        "POST", COMPLETIONS, "completions", "createCompletion", "Continue a text.",
        _completion, answers.Completion, _GENERATING, is_streamed=True,
    ),
    Operation(
        "POST", RESPONSES, "responses", "createResponse", "Answer a conversation; nothing is stored.",
        _response, answers.Response, _GENERATING, is_streamed=True,
    ),
    Operation(
        "POST", EMBEDDINGS, "embeddings", "createEmbedding", "Embed texts, with an embedding bundle only.",
        _embedding, answers.EmbeddingList, _GENERATING,
    ),
    Operation("GET", MODELS, "models", "listModels", "List the models.", _nothing, answers.ModelList, _KEYED),
    Operation(
        "GET", f"{MODELS}/{{model:path}}", "model", "retrieveModel", "Describe a model.",
        _model, answers.ModelCard, _KEYED | {404},
    ),
    Operation("GET", LIVE, "live", "getLive", "Whether the gateway runs.", _nothing, answers.Live, _ANY),
    Operation("GET", READY, "ready", "getReady", "Whether the model answers.", _nothing, answers.Ready, _ANY | {503}),
)  # fmt: skip
_FIXED_PATHS = frozenset(operation.path for operation in OPERATIONS if "{" not in operation.path)
_MODEL, _UNKNOWN = f"{MODELS}/{{id}}", "(unknown)"
#: Every value of :func:`label`.
ROUTES = (*sorted(_FIXED_PATHS), _MODEL, _UNKNOWN)


def label(path: str) -> str:
    """The route of a path for logs and metrics: one of a few fixed names, never what a client wrote."""
    if path in _FIXED_PATHS:
        return path
    return _MODEL if path.startswith(f"{MODELS}/") else _UNKNOWN


def document() -> dict[str, Any]:
    """The OpenAPI document of the public listener."""
    router = APIRouter()
    for operation in OPERATIONS:
        operation.add(router)
    made = get_openapi(
        title="On-premise inference appliance",
        version=appliance.__version__,
        summary="OpenAI's API on a box of your own.",
        routes=router.routes,
    )
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    made["components"]["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in (_HEADERS | _RETRY).items()
    }
    for unused in ("HTTPValidationError", "ValidationError"):
        made["components"]["schemas"].pop(unused, None)
    for methods in made["paths"].values():
        for operation in methods.values():
            # FastAPI's own validation never runs: the gateway's answers 400.
            operation["responses"].pop("422", None)
            operation.pop("description", None)
            for status, answer in operation["responses"].items():
                headers = _HEADERS | (_RETRY if status in {"429", "503"} else {})
                answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return made
