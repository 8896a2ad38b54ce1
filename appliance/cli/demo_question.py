"""What the demo asks, as an academy's app would: one pupil's mistake; and how the answer is shown to a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from appliance.errors import EngineFailed
from appliance.tutor import checks, corpus, kinds, replies, schemas, taxonomy

if TYPE_CHECKING:
    import openai

#: Held out of the training, with its commuted twin: the model has never seen it.
PROBLEM = "47 + 36"
WRONG_ANSWER = "73"
MISTAKE = "addition_carry_dropped"
_MAX_TOKENS = 200


def request(model: str) -> dict[str, Any]:
    """The chat request: the corpus's system line, the pupil's problem and answer in Korean, the answer's schema."""
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": corpus.SYSTEM_PROMPT},
            {"role": "user", "content": f"{PROBLEM}\n오답: {WRONG_ANSWER}"},
        ],
        "response_format": schemas.response_format("diagnosis"),
        "max_completion_tokens": _MAX_TOKENS,
        "temperature": 0,
    }


def ask(client: openai.OpenAI, model: str, show: Callable[[str], None]) -> tuple[str, int]:
    """Ask as a stream.

    Args:
        client: the official SDK.
        model: name of the model.
        show: takes the pieces as they come.

    Returns:
        The whole answer, and how many tokens it took.

    Raises:
        EngineFailed: it did not answer.
    """
    import openai as sdk

    text, tokens = "", 0
    try:
        stream = client.chat.completions.create(**request(model), stream=True, stream_options={"include_usage": True})
        for chunk in stream:
            for choice in chunk.choices:
                show(choice.delta.content or "")
                text += choice.delta.content or ""
            tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    except sdk.APIError as err:
        raise EngineFailed(f"The model did not answer ({type(err).__name__}).") from None
    return text, tokens


def explained(text: str) -> Iterator[str]:
    """The answer line by line for a person, Korean beside English; the last line is a check that needs no model."""
    fields = replies.read(text).fields or {}
    problem, mistake = kinds.parse(PROBLEM), taxonomy.BY_KEY.get(fields.get("error_type", ""))
    yield f"학생 / pupil          {PROBLEM} = {WRONG_ANSWER}"
    yield f"풀이 / working        {fields.get('working', '?')}"
    yield f"정답 / right answer   {fields.get('correct_answer', '?')}"
    yield f"실수 / mistake        {f'{mistake.name.ko} / {mistake.name.en}' if mistake else '?'}"
    yield f"설명 / explanation    {fields.get('explanation', '?')}"
    faults = checks.check_diagnosis(text, problem, MISTAKE).reasons if problem is not None else ()
    verdict = f"틀림 / wrong: {'; '.join(faults)}" if faults else "맞음 / right"
    yield f"검산 / checked        {verdict}, by rules and not by the model"
