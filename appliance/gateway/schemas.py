"""The request bodies, typed: what they do not name is refused.

Source of the fields: the OpenAI API reference, "Chat completions" and
"Completions"; ``top_k``, ``min_p`` and ``repetition_penalty`` are the harmless
ones of vLLM's own that apps send through ``extra_body``. Which fields are
refused by name, and which are accepted but never forwarded, is decided in
``core.privacy``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

#: Values an SDK may send and that are never forwarded (``core.privacy.IGNORED_FIELDS``).
_Text64 = Annotated[str, Field(max_length=64)]
_Name = Annotated[str, Field(max_length=256)]
_Metadata = Annotated[dict[_Text64, Annotated[str, Field(max_length=512)]], Field(max_length=16)]


class _Strict(BaseModel):
    # Strict: "1" is not 1, as with OpenAI. Unknown fields are refused.
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


class TextPart(_Strict):
    """One text part of a message's content. There are no image, audio or file parts here."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class FunctionCall(_Strict):
    """A call the model made, as an app sends it back: the name and the arguments as JSON text."""

    name: _Name
    arguments: str


class ToolCall(_Strict):
    """One tool call of an assistant message."""

    id: _Name
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(_Strict):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    name: _Name | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=64)] | None = None
    tool_call_id: _Name | None = None
    # What the SDK's own message objects carry when an app sends one back; never forwarded.
    refusal: str | None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None
    reasoning: None = None


class Function(_Strict):
    """A function the model may call; ``parameters`` is a JSON schema."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(_Strict):
    """A tool; functions are the only kind."""

    type: Literal["function"]
    function: Function


class FunctionName(_Strict):
    """The function that must be called."""

    name: _Name


class NamedToolChoice(_Strict):
    """One named tool must be called."""

    type: Literal["function"]
    function: FunctionName


class NamedSchema(_Strict):
    """The schema of a structured answer."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class ResponseFormat(_Strict):
    """The form of the answer: free text, any JSON object, or JSON by a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class StreamOptions(_Strict):
    """Options of a stream. ``include_obfuscation`` is accepted and changes nothing."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class _Sampling(_Strict):
    model: _Name
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Annotated[dict[Annotated[str, Field(pattern=r"^\d{1,7}$")], float], Field(max_length=1024)] | None = (
        None
    )
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: (
        Annotated[str, Field(min_length=1, max_length=256)]
        | Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=4)]
        | None
    ) = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=1_000_000)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    # Accepted because SDKs send them; never forwarded.
    metadata: _Metadata | None = None
    prompt_cache_key: _Name | None = None
    prompt_cache_options: _Metadata | None = None
    prompt_cache_retention: _Name | None = None
    reasoning_effort: _Text64 | None = None
    safety_identifier: _Name | None = None
    service_tier: _Text64 | None = None
    store: Literal[False] | None = None
    user: _Name | None = None
    verbosity: _Text64 | None = None


class ChatCompletionRequest(_Sampling):
    """``POST /v1/chat/completions``."""

    messages: Annotated[list[Message], Field(min_length=1)]
    logprobs: bool | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    tools: Annotated[list[Tool], Field(min_length=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    modalities: list[Literal["text"]] | None = None


class CompletionRequest(_Sampling):
    """``POST /v1/completions``. Prompts are text: token ids would bind an app to one model's tokenizer."""

    prompt: str | Annotated[list[str], Field(min_length=1)]
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None


class ErrorDetail(BaseModel):
    """What went wrong: a sentence with its remedy, the SDK's class of error, the field, the code."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """The body of every failure."""

    error: ErrorDetail
