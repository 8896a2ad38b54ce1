"""The OpenAPI document is honest and complete: it says what the code does, and a running gateway does what it says."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.openapi import page
from appliance.gateway import operations
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import Gateway, start

PAGE = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
#: Which bodies fit the schema and are refused all the same (a model that is not served, top_logprobs without
#: logprobs) JSON Schema cannot say; everything else that schemathesis knows is checked.
NOT_CHECKED = "positive_data_acceptance"
EXAMPLES = 25


@pytest.fixture
def gateway(state_dir: Path) -> Iterator[Gateway]:
    with FakeEngine(state_dir / "engine.sock") as engine:
        for running in start(state_dir, engine):
            running.wait_ready()
            yield running


def test_page_is_what_the_code_renders() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs` and commit docs/openapi.json"


def test_every_body_forbids_what_it_does_not_name() -> None:
    schemas = operations.document()["components"]["schemas"]
    for methods in operations.document()["paths"].values():
        for operation in methods.values():
            if "requestBody" in operation:
                name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
                assert schemas[name]["additionalProperties"] is False


def test_no_request_finds_a_500_or_anything_undocumented(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(_with_served_model(operations.document())))
    found = subprocess.run(
        [
            *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run", str(path)),
            *("--url", gateway.url, "--header", f"Authorization: Bearer {gateway.key}"),
            *("--max-examples", str(EXAMPLES), "--seed", "1", "--exclude-checks", NOT_CHECKED),
            *("--phases", "coverage,fuzzing", "--request-timeout", "10", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-6000:]
    assert f"Tested: {len(operations.OPERATIONS)}" in found.stdout
    assert gateway.engine.generations(), "no request was good enough to reach the engine"


def _with_served_model(document: dict[str, Any]) -> dict[str, Any]:
    """The document with bodies that name a served model, so that requests get as far as the engine."""
    changed = copy.deepcopy(document)
    for schema in changed["components"]["schemas"].values():
        if schema.get("additionalProperties") is False and "model" in schema["properties"]:
            schema["properties"]["model"] = {"type": "string", "enum": ["gpt-4o"]}
    return changed
