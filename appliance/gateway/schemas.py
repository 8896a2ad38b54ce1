"""The request bodies, typed: what they do not name is refused.

Source of the fields: the OpenAI API reference, "Chat completions" and
"Completions"; ``top_k``, ``min_p`` and ``repetition_penalty`` are the harmless
ones of vLLM's own that apps send through ``extra_body``. Which fields are
refused by name, and which are accepted but never forwarded, is decided in
``core.privacy``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SerializeAsAny
from pydantic_core import PydanticCustomError

#: Values an SDK may send and that are never forwarded (``core.privacy.IGNORED_FIELDS``).
Text64 = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(max_length=256)]
Metadata = Annotated[dict[Text64, Annotated[str, Field(max_length=512)]], Field(max_length=16)]


def _is_false(value: bool) -> bool:
    if value:
        raise PydanticCustomError("literal_error", "Input should be false")
    return value


#: A boolean that may only be false. Not ``Literal[False]``: that takes 0 for it.
OnlyFalse = Annotated[bool, AfterValidator(_is_false), Field(json_schema_extra={"const": False})]


class Strict(BaseModel):
    """A part of a request body: ``"1"`` is not 1, as with OpenAI, and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


class TextPart(Strict):
    """One text part of a message's content. There are no image, audio or file parts here."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class FunctionCall(Strict):
    """A call the model made, as an app sends it back: the name and the arguments as JSON text."""

    name: Name
    arguments: str


class ToolCall(Strict):
    """One tool call of an assistant message."""

    id: Name
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(Strict):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    name: Name | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=64)] | None = None
    tool_call_id: Name | None = None
    # What the SDK's own message objects carry when an app sends one back; never forwarded.
    refusal: str | None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None
    reasoning: None = None


class Function(Strict):
    """A function the model may call; ``parameters`` is a JSON schema."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Strict):
    """A tool; functions are the only kind."""

    type: Literal["function"]
    function: Function


class FunctionName(Strict):
    """The function that must be called."""

    name: Name


class NamedToolChoice(Strict):
    """One named tool must be called."""

    type: Literal["function"]
    function: FunctionName


class NamedSchema(Strict):
    """The schema of a structured answer."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class ResponseFormat(Strict):
    """The form of the answer: free text, any JSON object, or JSON by a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class StreamOptions(Strict):
    """Options of a stream. ``include_obfuscation`` is accepted and changes nothing."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class EngineStreamOptions(StreamOptions):
    """What the engine is asked for: its count of tokens in every event, so that a stream cut off has one."""

    continuous_usage_stats: bool = True


class _Sampling(Strict):
    model: Name
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
    stream_options: SerializeAsAny[StreamOptions] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=1_000_000)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    # Accepted because SDKs send them; never forwarded.
    metadata: Metadata | None = None
    prompt_cache_key: Name | None = None
    prompt_cache_options: Metadata | None = None
    prompt_cache_retention: Name | None = None
    reasoning_effort: Text64 | None = None
    safety_identifier: Name | None = None
    service_tier: Text64 | None = None
    store: OnlyFalse | None = None
    user: Name | None = None
    verbosity: Text64 | None = None


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

    prompt: (
        Annotated[str, Field(min_length=1)] | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    )
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None


class EmbeddingRequest(Strict):
    """``POST /v1/embeddings``. Inputs are text, as in completions."""

    model: Name
    input: (
        Annotated[str, Field(min_length=1)] | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    )
    dimensions: Annotated[int, Field(ge=1, le=65_536)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: Name | None = None
