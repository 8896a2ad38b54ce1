"""The request body of ``/v1/responses``, typed, and the chat completion that it asks for.

Source of the fields: the OpenAI API reference, "Responses". Of its tools only
functions exist here; of its items only text, function calls and their results.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from appliance.gateway.schemas import (
    ChatCompletionRequest,
    Function,
    FunctionCall,
    FunctionName,
    Message,
    Metadata,
    Name,
    NamedSchema,
    NamedToolChoice,
    OnlyFalse,
    ResponseFormat,
    Strict,
    Text64,
    TextPart,
    Tool,
    ToolCall,
)

_ItemStatus = Literal["in_progress", "completed", "incomplete"]


class MessageTextPart(Strict):
    """One text part of a message, the app's or one that came from here."""

    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class MessageItem(Strict):
    """One message of the conversation."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[MessageTextPart]
    # What an output item carries when an app sends it back.
    id: Name | None = None
    status: _ItemStatus | None = None
    phase: Text64 | None = None


class FunctionCallItem(Strict):
    """A call the model made, as an app sends it back."""

    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: str
    id: Name | None = None
    status: _ItemStatus | None = None


class FunctionCallOutputItem(Strict):
    """What the app's function returned."""

    type: Literal["function_call_output"]
    call_id: Name
    output: str | list[MessageTextPart]
    id: Name | None = None
    status: _ItemStatus | None = None


_ITEMS = {
    "message": "MessageItem",
    "function_call": "FunctionCallItem",
    "function_call_output": "FunctionCallOutputItem",
}


def _kind(value: Any) -> str | None:
    kind = value.get("type", "message") if isinstance(value, dict) else getattr(value, "type", None)
    return _ITEMS.get(kind) if isinstance(kind, str) else None


Item = Annotated[
    Annotated[MessageItem, Tag("MessageItem")]
    | Annotated[FunctionCallItem, Tag("FunctionCallItem")]
    | Annotated[FunctionCallOutputItem, Tag("FunctionCallOutputItem")],
    Discriminator(_kind),
]


class FunctionTool(Function):
    """A function the model may call; unlike in chat completions it is not nested."""

    type: Literal["function"]


class FunctionToolChoice(Strict):
    """One named function must be called."""

    type: Literal["function"]
    name: Name


class TextFormat(Strict):
    """The form of the answer: free text, any JSON object, or JSON by a schema."""

    type: Literal["text", "json_object", "json_schema"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    description: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class TextOptions(Strict):
    """How the text of the answer is to be. ``verbosity`` changes nothing here."""

    format: TextFormat | None = None
    verbosity: Text64 | None = None


class Reasoning(Strict):
    """Accepted because SDKs send it; it changes nothing here."""

    effort: Text64 | None = None
    summary: Text64 | None = None
    generate_summary: Text64 | None = None


class ResponseStreamOptions(Strict):
    """Options of a stream; accepted, changes nothing."""

    include_obfuscation: bool | None = None


class ResponseRequest(Strict):
    """``POST /v1/responses``."""

    model: Name
    input: str | Annotated[list[Item], Field(min_length=1)]
    include: (
        Annotated[list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]], Field(max_length=8)]
        | None
    ) = None
    instructions: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    text: TextOptions | None = None
    tool_choice: Literal["none", "auto", "required"] | FunctionToolChoice | None = None
    tools: list[FunctionTool] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    # Of vLLM's own, as in chat completions.
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=1_000_000)] | None = None
    # Nothing is stored, cut or fetched later: only the values that say so.
    background: OnlyFalse | None = None
    conversation: None = None
    previous_response_id: None = None
    prompt: None = None
    store: OnlyFalse | None = None
    truncation: Literal["disabled"] | None = None
    # Accepted because SDKs send them; never forwarded.
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None
    metadata: Metadata | None = None
    prompt_cache_key: Name | None = None
    prompt_cache_options: Metadata | None = None
    prompt_cache_retention: Name | None = None
    reasoning: Reasoning | None = None
    safety_identifier: Name | None = None
    service_tier: Text64 | None = None
    user: Name | None = None

    def to_chat(self) -> ChatCompletionRequest:
        """The chat completion that this asks the engine for."""
        sampling = self.model_dump(include=_SAME, exclude_none=True)
        logprobs = self.top_logprobs is not None or "message.output_text.logprobs" in (self.include or ())
        choice: Any = self.tool_choice if self.tools else None
        if isinstance(choice, FunctionToolChoice):
            choice = NamedToolChoice(type="function", function=FunctionName(name=choice.name))
        return ChatCompletionRequest(
            messages=list(self._messages()),
            max_tokens=self.max_output_tokens,
            response_format=self._format(),
            logprobs=logprobs or None,
            tool_choice=choice,
            tools=[Tool(type="function", function=Function(**tool.model_dump(exclude={"type"}))) for tool in self.tools]
            if self.tools
            else None,
            **sampling,
        )

    def echo(self) -> dict[str, Any]:
        """What the answer repeats of the request, with the values that were meant where it says nothing."""
        dumped = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {name: dumped.get(name, default) for name, default in _ECHO.items()} | {
            "text": {"format": {"type": "text"}, **dumped.get("text", {})},
            "tools": [
                {"description": None, "parameters": None, "strict": None} | tool for tool in dumped.get("tools", [])
            ],
        }

    def _format(self) -> ResponseFormat | None:
        wanted = self.text.format if self.text else None
        if wanted is None:
            return None
        if wanted.type != "json_schema":
            return ResponseFormat(type=wanted.type)
        named = NamedSchema(name=wanted.name or "answer", description=wanted.description, strict=wanted.strict)
        named.schema_ = wanted.schema_
        return ResponseFormat(type="json_schema", json_schema=named)

    def _messages(self) -> Iterator[Message]:
        if self.instructions is not None:
            yield Message(role="system", content=self.instructions)
        if isinstance(self.input, str):
            yield Message(role="user", content=self.input)
            return
        calling: Message | None = None
        for item in self.input:
            if isinstance(item, FunctionCallItem):
                call = ToolCall(id=item.call_id, function=FunctionCall(name=item.name, arguments=item.arguments))
                if calling is None:
                    calling = Message(role="assistant", tool_calls=[])
                calling.tool_calls = [*(calling.tool_calls or []), call]
                continue
            if calling is not None:
                yield calling
                calling = None
            if isinstance(item, FunctionCallOutputItem):
                yield Message(role="tool", tool_call_id=item.call_id, content=_content(item.output))
            elif item.role == "assistant":
                calling = Message(role="assistant", content=_content(item.content))  # calls may follow in it
            else:
                yield Message(role=item.role, content=_content(item.content))
        if calling is not None:
            yield calling


#: Fields that mean the same in both APIs.
_SAME = {
    "frequency_penalty",
    "min_p",
    "model",
    "parallel_tool_calls",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "stream",
    "temperature",
    "top_k",
    "top_logprobs",
    "top_p",
}
_ECHO: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "user": None,
}


def _content(content: str | list[MessageTextPart]) -> str | list[TextPart]:
    if isinstance(content, str):
        return content
    if len(content) == 1:
        return content[0].text
    return [TextPart(type="text", text=part.text) for part in content]
