"""The OpenAI error form, and what an engine's refusal means in our words.

Form: ``{"error": {"message", "type", "param", "code"}}`` (OpenAI API reference, "Error codes").
"""

from __future__ import annotations

import re

import orjson

from appliance.errors import (
    ApplianceError,
    ContextLengthExceeded,
    EngineFailed,
    EngineUnavailable,
    InvalidRequest,
    ModelNotFound,
)

# vLLM's wording (renderers/params.py, 0.32): the length it serves and what the prompt needs,
# in tokens, or in characters when the prompt is too long to be worth counting.
_CONTEXT = re.compile(
    rb"maximum context length is (\d{1,12}) tokens.{0,80}?contains (at least )?(\d{1,12}) (input tokens|characters)",
    re.DOTALL,
)

# The output alone is longer than the context (vllm/sampling_params, 0.32).
_OUTPUT = re.compile(rb"max_(?:completion_|output_)?tokens=(\d{1,12}) cannot be greater than max_model_len=(\d{1,12})")
# Other refusals of vLLM 0.32 by their wording: our message, remedy and field.
_KNOWN = (
    (
        b"--tool-call-parser to be set",
        "The active model cannot call tools.",
        'Leave tools out or set tool_choice to "none"; for an answer in a given form use response_format.',
        "tools",
    ),
    (
        b"in logit_bias contain out-of-vocab",
        "logit_bias names a token that the active model does not have.",
        "Leave it out: the ids of tokens change with the model.",
        "logit_bias",
    ),
)


def render(err: ApplianceError) -> bytes:
    """The error as the JSON body of a response."""
    return orjson.dumps(_form(err))


def render_event(err: ApplianceError) -> bytes:
    """The error as one Server-Sent Event, for a stream that has begun."""
    return b"data: " + orjson.dumps(_form(err)) + b"\n\n"


def from_engine(status: int, body: bytes, prompt_field: str = "messages") -> ApplianceError:
    """What an engine's error answer means to the client.

    Nothing of the engine's text passes, but for the two numbers of an overflow.

    Args:
        status: HTTP status of the engine's answer, 400 or more.
        body: its body; only searched for the reasons known here and the overflow's numbers.
        prompt_field: the request's field that holds the prompt.
    """
    if overflow := _CONTEXT.search(body[:4096]):
        limit, about, needed, unit = overflow.groups()
        measured = "characters" if unit == b"characters" else "tokens"
        return ContextLengthExceeded(
            f"This model's context is {limit.decode()} tokens; the prompt has "
            f"{'at least ' if about else ''}{needed.decode()} {measured}.",
            param=prompt_field,
        )
    if overflow := _OUTPUT.search(body[:4096]):
        asked, limit = (number.decode() for number in overflow.groups())
        return ContextLengthExceeded(
            f"This model's context is {limit} tokens; {asked} output tokens were asked for.", param="max_tokens"
        )
    for wording, message, remedy, param in _KNOWN:
        if wording in body[:4096]:
            return InvalidRequest(message, remedy=remedy, param=param)
    if status == 404:
        return ModelNotFound()
    if status in {400, 413, 422}:
        return InvalidRequest(
            "The model refused the request: a combination of its fields cannot be served.",
            remedy="Check response_format, tools, logprobs and the sampling fields.",
        )
    if status == 503:
        return EngineUnavailable(headers={"retry-after": "2"})
    return EngineFailed()


def _form(err: ApplianceError) -> dict[str, dict[str, str | None]]:
    return {"error": {"message": str(err), "type": err.type, "param": err.param, "code": err.key}}
