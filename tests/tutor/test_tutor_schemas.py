import json

import pytest

from appliance.tutor.corpus import samples
from appliance.tutor.schemas import diagnosis_schema, response_format, similar_schema
from appliance.tutor.taxonomy import BY_KEY


def test_the_error_type_is_one_of_the_taxonomy():
    assert diagnosis_schema()["properties"]["error_type"]["enum"] == list(BY_KEY)


@pytest.mark.parametrize("task", ["diagnosis", "similar"])
def test_the_schema_is_strict_as_openai_means_it(task):
    wanted = response_format(task)
    schema = wanted["json_schema"]["schema"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["strict"] is True
    assert schema["additionalProperties"] is False
    assert schema["required"] == list(schema["properties"])


def test_corpus_answers_have_the_keys_of_their_schema_in_order():
    for item in samples(3, "train", 200):
        schema = diagnosis_schema() if item.task == "diagnosis" else similar_schema()
        assert list(json.loads(item.answer)) == schema["required"]
