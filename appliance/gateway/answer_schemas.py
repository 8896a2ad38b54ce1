"""What the routes answer with, for the OpenAPI document; the bytes themselves are the engine's.

Each names what apps rely on; answers may hold more.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow", protected_namespaces=())


class CompletionUsage(_Answer):
    """Tokens of one request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(_Answer):
    """A chat completion; ``model`` is what really answered."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: CompletionUsage


class Completion(_Answer):
    """A completion; ``model`` is what really answered."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: CompletionUsage


class ResponseUsage(_Answer):
    """Tokens of one response."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class Response(_Answer):
    """A response; it is not stored."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    model: str
    output: list[dict[str, Any]]
    store: Literal[False]
    usage: ResponseUsage


class EmbeddingList(_Answer):
    """The embeddings, in the order of the inputs."""

    object: Literal["list"]
    model: str
    data: list[dict[str, Any]]


class ModelCard(_Answer):
    """A name an app may use; ``root`` is the model behind it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    max_model_len: int | None


class ModelList(_Answer):
    """The names an app may use."""

    object: Literal["list"]
    data: list[ModelCard]


class Live(_Answer):
    """The gateway runs."""

    status: Literal["live"]


class Ready(_Answer):
    """The model generated lately."""

    status: Literal["ready"]


class ErrorDetail(BaseModel):
    """What went wrong: a sentence with its remedy, the SDK's class of error, the field, the code."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """The body of every failure."""

    error: ErrorDetail
