"""JSON schemas of the two tasks' answers, in the form OpenAI's strict ``json_schema`` accepts.

Strict means: every object names all its properties as required and refuses
others (OpenAI, "Structured Outputs: supported schemas"). Property order is the
order in which the answer is written: the working leads to the right answer, and
the diagnosis follows from both.
"""

from __future__ import annotations

from typing import Any

from appliance.tutor.taxonomy import MISTAKES

DIAGNOSIS_KEYS = ("working", "correct_answer", "error_type", "explanation")
SIMILAR_KEYS = ("problem", "working", "answer")


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
            "working": {"type": "string"},
            "correct_answer": {"type": "string"},
            "error_type": {"type": "string", "enum": [mistake.key for mistake in MISTAKES]},
            "explanation": {"type": "string"},
        }
    )


def similar_schema() -> dict[str, Any]:
    """What a similar problem looks like."""
    return _strict({name: {"type": "string"} for name in SIMILAR_KEYS})


def response_format(task: str) -> dict[str, Any]:
    """The ``response_format`` of a request for ``diagnosis`` or ``similar``.

    Raises:
        KeyError: no such task.
    """
    schema = {"diagnosis": diagnosis_schema, "similar": similar_schema}[task]()
    return {"type": "json_schema", "json_schema": {"name": task, "strict": True, "schema": schema}}
