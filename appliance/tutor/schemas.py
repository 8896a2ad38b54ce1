"""JSON schemas of the two tasks' answers, in the form OpenAI's strict ``json_schema`` accepts.

Strict means: every object names all its properties as required and refuses
others (OpenAI, "Structured Outputs: supported schemas"). Property order is the
order in which the answer is written; the right answer comes first because the
diagnosis follows from it.
"""

from __future__ import annotations

from typing import Any

from appliance.tutor.taxonomy import MISTAKES

DIAGNOSIS_KEYS = ("correct_answer", "error_type", "explanation")
SIMILAR_KEYS = ("problem", "answer")


def _strict(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def diagnosis_schema() -> dict[str, Any]:
    """What a wrong-answer analysis looks like."""
    return _strict(
        {
            "correct_answer": {"type": "string"},
            "error_type": {"type": "string", "enum": [mistake.key for mistake in MISTAKES]},
            "explanation": {"type": "string"},
        }
    )


def similar_schema() -> dict[str, Any]:
    """What a similar problem looks like."""
    return _strict({"problem": {"type": "string"}, "answer": {"type": "string"}})


def response_format(task: str) -> dict[str, Any]:
    """The ``response_format`` of a request for ``diagnosis`` or ``similar``.

    Raises:
        KeyError: no such task.
    """
    schema = {"diagnosis": diagnosis_schema, "similar": similar_schema}[task]()
    return {"type": "json_schema", "json_schema": {"name": task, "strict": True, "schema": schema}}
