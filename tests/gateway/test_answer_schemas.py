"""The documented answers are what the official SDK needs."""

from __future__ import annotations

import openai.types
import pytest
from openai.types import chat, responses
from pydantic import BaseModel

from appliance.gateway import answer_schemas


def test_error_form_has_the_four_fields() -> None:
    detail = answer_schemas.ErrorResponse.model_json_schema()["$defs"]["ErrorDetail"]
    assert set(detail["properties"]) == set(detail["required"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("ours", "sdks"),
    [
        (answer_schemas.ChatCompletion, chat.ChatCompletion),
        (answer_schemas.Completion, openai.types.Completion),
        (answer_schemas.EmbeddingList, openai.types.CreateEmbeddingResponse),
        (answer_schemas.ModelCard, openai.types.Model),
    ],
)
def test_what_the_sdk_requires_is_documented_as_required(ours: type[BaseModel], sdks: type[BaseModel]) -> None:
    required = {name for name, field in sdks.model_fields.items() if field.is_required()}
    documented = {name for name, field in ours.model_fields.items() if field.is_required()}
    assert required - documented <= {"usage"}


def test_a_response_is_documented_by_fields_the_sdk_knows() -> None:
    assert set(answer_schemas.Response.model_fields) - {"store"} <= set(responses.Response.model_fields)
