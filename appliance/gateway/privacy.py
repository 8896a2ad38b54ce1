"""The privacy layer: what of a request may go on to the engine, and in what form.

The body is validated against its schema, refused where it names a field that
is refused (``core.privacy``), capped, and written anew with only what the
engine needs: fields that an SDK sends and that change nothing stay here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from appliance.core import json_schema
from appliance.core.catalogue import Catalogue
from appliance.core.json_schema import SchemaLimits
from appliance.core.privacy import IGNORED_FIELDS, REFUSED_FIELDS
from appliance.errors import ApplianceError, BadJson, InvalidRequest, RefusedField
from appliance.gateway.response_schemas import FunctionToolChoice, ResponseRequest
from appliance.gateway.schemas import ChatCompletionRequest, CompletionRequest, EmbeddingRequest, EngineStreamOptions
from appliance.settings import GatewaySettings

_Body = TypeVar("_Body", ChatCompletionRequest, CompletionRequest, ResponseRequest, EmbeddingRequest)
# Also dropped on the way: what an assistant message carries back from the SDK.
_NOT_FORWARDED: dict[str, Any] = {
    **dict.fromkeys(IGNORED_FIELDS, True),
    "modalities": True,
    "messages": {"__all__": {"refusal", "annotations", "audio", "function_call", "reasoning"}},
}
_REFUSALS = frozenset({"extra_forbidden", "literal_error", "none_required"})
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
# Pydantic names the branch of a union in an error's place; the client never wrote that.
_BRANCH = re.compile(
    r"^(str|list\[.*\]|literal\[.*\]|constrained-.*|NamedToolChoice|FunctionToolChoice|\w+Item|function-.*)$"
)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A request in the form in which the engine gets it.

    Args:
        payload: JSON bytes.
        model: name of the served model.
        stream: whether the answer is an event stream.
        show_usage: whether the client asked for the usage event of the stream.
        choices: how many answers to each prompt.
        sequences: how many the engine generates at once for it.
        output_tokens: the most tokens of all its answers together, None if the client did not say.
        prompt_field: the field that holds the prompt, for a refusal of its length.
        echo: what an answer of ``/v1/responses`` repeats of the request; None on the other routes.
    """

    payload: bytes
    model: str
    stream: bool
    show_usage: bool
    sequences: int = 1
    choices: int = 1
    output_tokens: int | None = None
    prompt_field: str = "messages"
    echo: dict[str, Any] | None = None


class Cleaner:
    """Turn request bodies into what the engine may see.

    Args:
        settings: the caps.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._schema_limits = SchemaLimits(
            settings.max_schema_bytes, settings.max_schema_depth, settings.max_schema_properties
        )

    def chat(self, body: bytes, catalogue: Catalogue) -> Forwarded:
        """Clean a chat completion request.

        Raises:
            InvalidRequest: it does not fit, or names what is refused.
            ModelNotFound: its model is not served.
        """
        request = _parse(ChatCompletionRequest, body)
        self._check_chat(request)
        if request.max_completion_tokens is not None:
            request.max_tokens = request.max_completion_tokens
            request.max_completion_tokens = None
        for message in request.messages:
            if message.role == "developer":
                message.role = "system"  # the newer name of the same role; the templates know the older
        return self._forward(request, catalogue)

    def completion(self, body: bytes, catalogue: Catalogue) -> Forwarded:
        """Clean a completion request; raises as :meth:`chat`."""
        request = _parse(CompletionRequest, body)
        if isinstance(request.prompt, list) and len(request.prompt) > self._settings.max_prompts:
            raise InvalidRequest(f"prompt has more than {self._settings.max_prompts} entries.", param="prompt")
        return replace(self._forward(request, catalogue), prompt_field="prompt")

    def response(self, body: bytes, catalogue: Catalogue) -> Forwarded:
        """Clean a request for a response: it goes on as a chat completion; raises as :meth:`chat`."""
        request = _parse(ResponseRequest, body)
        self._check_response(request)
        chat = request.to_chat()
        for message in chat.messages:
            if message.role == "developer":
                message.role = "system"
        # The count of tokens goes into the answer here, whoever asks.
        return replace(self._forward(chat, catalogue), show_usage=True, prompt_field="input", echo=request.echo())

    def embedding(self, body: bytes, catalogue: Catalogue) -> Forwarded:
        """Clean an embedding request; raises as :meth:`chat`."""
        request = _parse(EmbeddingRequest, body)
        if isinstance(request.input, list) and len(request.input) > self._settings.max_prompts:
            raise InvalidRequest(f"input has more than {self._settings.max_prompts} entries.", param="input")
        request.model = catalogue.resolve(request.model)
        payload = request.model_dump_json(exclude_none=True, exclude={"user"}).encode()
        return Forwarded(payload, request.model, stream=False, show_usage=False, output_tokens=0, prompt_field="input")

    def _check_chat(self, request: ChatCompletionRequest) -> None:
        settings = self._settings
        if len(request.messages) > settings.max_messages:
            raise InvalidRequest(f"There are more than {settings.max_messages} messages.", param="messages")
        wanted = request.response_format
        if wanted is not None and (wanted.type == "json_schema" or wanted.json_schema is not None):
            schema = wanted.json_schema.schema_ if wanted.json_schema else None
            json_schema.check(schema, self._schema_limits, "response_format.json_schema.schema")
        if request.tools is not None and len(request.tools) > settings.max_tools:
            raise InvalidRequest(f"There are more than {settings.max_tools} tools.", param="tools")
        for index, tool in enumerate(request.tools or []):
            if tool.function.parameters is not None:
                json_schema.check(tool.function.parameters, self._schema_limits, f"tools[{index}].function.parameters")
        choice = request.tool_choice
        named = None if choice is None or isinstance(choice, str) else choice.function.name
        names = [tool.function.name for tool in request.tools or []]
        _check_tool_choice(named, names, is_needed=choice not in (None, "none"))
        if request.top_logprobs and not request.logprobs:
            raise InvalidRequest("top_logprobs needs logprobs to be true.", param="top_logprobs")

    def _check_response(self, request: ResponseRequest) -> None:
        """What :meth:`_check_chat` checks, under the names that the fields have here."""
        settings = self._settings
        if not isinstance(request.input, str) and len(request.input) > settings.max_messages:
            raise InvalidRequest(f"There are more than {settings.max_messages} items.", param="input")
        if request.max_output_tokens is not None and request.max_output_tokens > settings.max_output_tokens:
            raise InvalidRequest(
                f"More than {settings.max_output_tokens} output tokens were asked for.", param="max_output_tokens"
            )
        wanted = request.text.format if request.text else None
        if wanted is not None and wanted.type == "json_schema":
            json_schema.check(wanted.schema_, self._schema_limits, "text.format.schema")
        tools = request.tools or []
        if len(tools) > settings.max_tools:
            raise InvalidRequest(f"There are more than {settings.max_tools} tools.", param="tools")
        for index, tool in enumerate(tools):
            if tool.parameters is not None:
                json_schema.check(tool.parameters, self._schema_limits, f"tools[{index}].parameters")
        choice = request.tool_choice
        named = choice.name if isinstance(choice, FunctionToolChoice) else None
        _check_tool_choice(named, [tool.name for tool in tools], is_needed=choice not in (None, "none", "auto"))

    def _forward(self, request: ChatCompletionRequest | CompletionRequest, catalogue: Catalogue) -> Forwarded:
        settings = self._settings
        if request.n is not None and request.n > settings.max_choices:
            raise InvalidRequest(f"n is larger than {settings.max_choices}.", param="n")
        if request.n is not None and request.n > 1 and request.temperature == 0:
            raise InvalidRequest(
                "n is larger than 1 and temperature is 0: all answers would be the same.",
                remedy="Ask for one, or raise the temperature.",
                param="n",
            )
        if request.max_tokens is not None and request.max_tokens > settings.max_output_tokens:
            raise InvalidRequest(
                f"More than {settings.max_output_tokens} output tokens were asked for.", param="max_tokens"
            )
        stream = bool(request.stream)
        if request.stream_options is not None and not stream:
            raise InvalidRequest("stream_options needs stream to be true.", param="stream_options")
        show_usage = bool(request.stream_options and request.stream_options.include_usage)
        if stream:
            # The account of use needs the counts; the relay leaves out what the client did not ask for.
            request.stream_options = EngineStreamOptions(include_usage=True)
        request.model = catalogue.resolve(request.model)
        payload = request.model_dump_json(exclude_none=True, by_alias=True, exclude=_NOT_FORWARDED)
        sequences = _sequences(request)
        asked = None if request.max_tokens is None else request.max_tokens * sequences
        return Forwarded(payload.encode(), request.model, stream, show_usage, sequences, request.n or 1, asked)


def _sequences(request: ChatCompletionRequest | CompletionRequest) -> int:
    prompts = request.prompt if isinstance(request, CompletionRequest) else None
    return (request.n or 1) * (max(1, len(prompts)) if isinstance(prompts, list) else 1)


def _check_tool_choice(named: str | None, tools: list[str], *, is_needed: bool) -> None:
    if is_needed and not tools:
        raise InvalidRequest("tool_choice needs tools.", param="tool_choice")
    if named is not None and named not in tools:
        raise InvalidRequest("tool_choice names a function that is not among tools.", param="tool_choice")


def _parse(schema: type[_Body], body: bytes) -> _Body:
    try:
        return schema.model_validate_json(body)
    except ValidationError as err:
        problems = err.errors(include_url=False, include_context=False, include_input=False)
    if (plain := _without_nulls(body)) is not None:
        return _parse(schema, plain)
    raise _explain(problems, body)


def _without_nulls(body: bytes) -> bytes | None:
    """The body without refused fields that are null, which asks for nothing; None where there are none."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    asked = {name: field for name, field in value.items() if field is not None or name not in REFUSED_FIELDS}
    return orjson.dumps(asked) if len(asked) < len(value) else None


def _explain(problems: list[Any], body: bytes) -> ApplianceError:
    """The most telling of the problems, without a word of the input but the field's name."""
    for problem in problems:
        if problem["type"] == "json_invalid" or not problem["loc"]:
            return _explain_json(body)
    if refusal := _refusal(problems):
        return refusal
    problem = problems[0]
    place = _place(problem["loc"])
    if problem["type"] == "extra_forbidden":
        named = _FIELD_NAME.fullmatch(str(problem["loc"][-1]))
        return InvalidRequest(
            f"The field {place} is not known here." if named else "A field is not known here.",
            remedy="Leave it out; docs/api.md lists the fields.",
            param=place if named else None,
        )
    if problem["type"] == "missing":
        return InvalidRequest(f"The field {place} is missing.", param=place)
    return InvalidRequest(f"The field {place} is not valid: {problem['msg']}.", param=place)


def _refusal(problems: list[Any]) -> RefusedField | None:
    """Where a problem is something that some API has and the appliance refuses on purpose: which, and why."""
    for problem in problems:
        name = str(problem["loc"][0]) if problem["loc"] else ""
        # Unknown here, or known only with the one value that asks for nothing.
        if problem["type"] in _REFUSALS and len(problem["loc"]) == 1 and name in REFUSED_FIELDS:
            return RefusedField(f"{name} is refused here: {REFUSED_FIELDS[name]}.", param=name)
    for problem in problems:
        if problem["loc"][:1] == ("tools",) and problem["loc"][2:] == ("type",) and problem["type"] == "literal_error":
            return RefusedField(
                "Tools are functions: the appliance searches no web and no files and runs no code.",
                remedy='Send tools of the form {"type": "function", …}, which your app runs.',
                param=_place(problem["loc"]),
            )
    if any(problem["type"].startswith("union_tag") for problem in problems):
        return RefusedField(
            "An item of input may be a message, a function_call or a function_call_output.",
            remedy="Send what was said as messages; nothing that an id could name is stored here.",
            param="input",
        )
    if any("TextPart" in str(part) for problem in problems for part in problem["loc"]):
        return RefusedField(
            "A message's content may hold text only: images, audio and files are refused here.",
            remedy='Send a string, or parts of the form {"type": "text", "text": "…"}.',
            param=_place(problems[0]["loc"]),
        )
    return None


def _explain_json(body: bytes) -> ApplianceError:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as err:
        return BadJson(f"The request body is not valid JSON (line {err.lineno}, column {err.colno}).")
    if not isinstance(value, dict):
        return BadJson("The request body is JSON, but not an object.")
    return BadJson("The request body is nested too deeply.")


def _place(location: tuple[int | str, ...]) -> str:
    """``("messages", 0, "content", "str")`` as ``messages[0].content``."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not _BRANCH.match(part) and _FIELD_NAME.fullmatch(part):
            text += f".{part}" if text else part
    return text
