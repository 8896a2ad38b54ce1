"""The privacy layer: what of a request may go on to the engine, and in what form.

The body is validated against its schema, refused where it names a field that
is refused (``core.privacy``), capped, and written anew with only what the
engine needs: fields that an SDK sends and that change nothing stay here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from appliance.core import json_schema
from appliance.core.catalogue import Catalogue
from appliance.core.json_schema import SchemaLimits
from appliance.core.privacy import IGNORED_FIELDS, REFUSED_FIELDS
from appliance.errors import ApplianceError, BadJson, InvalidRequest, RefusedField
from appliance.gateway.schemas import ChatCompletionRequest, CompletionRequest, StreamOptions
from appliance.settings import GatewaySettings

_Body = TypeVar("_Body", ChatCompletionRequest, CompletionRequest)
# Also dropped on the way: what an assistant message carries back from the SDK.
_NOT_FORWARDED: dict[str, Any] = {
    **dict.fromkeys(IGNORED_FIELDS, True),
    "modalities": True,
    "messages": {"__all__": {"refusal", "annotations", "audio", "function_call", "reasoning"}},
}
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
# Pydantic names the branch of a union in an error's place; the client never wrote that.
_BRANCH = re.compile(r"^(str|list\[.*\]|literal\[.*\]|constrained-.*|NamedToolChoice|function-.*)$")


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A request in the form in which the engine gets it.

    Args:
        payload: JSON bytes.
        model: name of the served model.
        stream: whether the answer is an event stream.
        show_usage: whether the client asked for the usage event of the stream.
    """

    payload: bytes
    model: str
    stream: bool
    show_usage: bool


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
        return self._forward(request, catalogue)

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
        _check_tool_choice(request)
        if request.top_logprobs and not request.logprobs:
            raise InvalidRequest("top_logprobs needs logprobs to be true.", param="top_logprobs")

    def _forward(self, request: ChatCompletionRequest | CompletionRequest, catalogue: Catalogue) -> Forwarded:
        settings = self._settings
        if request.n is not None and request.n > settings.max_choices:
            raise InvalidRequest(f"n is larger than {settings.max_choices}.", param="n")
        if request.max_tokens is not None and request.max_tokens > settings.max_output_tokens:
            raise InvalidRequest(
                f"More than {settings.max_output_tokens} output tokens were asked for.", param="max_tokens"
            )
        stream = bool(request.stream)
        if request.stream_options is not None and not stream:
            raise InvalidRequest("stream_options needs stream to be true.", param="stream_options")
        show_usage = bool(request.stream_options and request.stream_options.include_usage)
        if stream:
            # The account of use needs the final count; the relay leaves the event out for who did not ask.
            request.stream_options = StreamOptions(include_usage=True)
        request.model = catalogue.resolve(request.model)
        payload = request.model_dump_json(exclude_none=True, by_alias=True, exclude=_NOT_FORWARDED)
        return Forwarded(payload.encode(), request.model, stream, show_usage)


def _check_tool_choice(request: ChatCompletionRequest) -> None:
    choice = request.tool_choice
    if choice is None or choice == "none":
        return
    if not request.tools:
        raise InvalidRequest("tool_choice needs tools.", param="tool_choice")
    if not isinstance(choice, str) and all(tool.function.name != choice.function.name for tool in request.tools):
        raise InvalidRequest("tool_choice names a function that is not among tools.", param="tool_choice")


def _parse(schema: type[_Body], body: bytes) -> _Body:
    try:
        return schema.model_validate_json(body)
    except ValidationError as err:
        problems = err.errors(include_url=False, include_context=False, include_input=False)
    raise _explain(problems, body)


def _explain(problems: list[Any], body: bytes) -> ApplianceError:
    """The most telling of the problems, without a word of the input but the field's name."""
    for problem in problems:
        if problem["type"] == "json_invalid":
            return _explain_json(body)
    for problem in problems:
        name = str(problem["loc"][-1]) if problem["loc"] else ""
        if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1 and name in REFUSED_FIELDS:
            return RefusedField(f"{name} is refused here: {REFUSED_FIELDS[name]}.", param=name)
    if any("TextPart" in str(part) for problem in problems for part in problem["loc"]):
        return RefusedField(
            "A message's content may hold text only: images, audio and files are refused here.",
            remedy='Send a string, or parts of the form {"type": "text", "text": "…"}.',
            param=_place(problems[0]["loc"]),
        )
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
