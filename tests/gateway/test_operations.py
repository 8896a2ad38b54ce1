"""The public listener has these operations and no others."""

from __future__ import annotations

import pytest

from appliance.gateway.operations import OPEN_PATHS, OPERATIONS, document, label
from appliance.gateway.routes import Routes
from tests.gateway.conftest import Gateway


def test_the_listener_has_the_routes_of_the_design_and_no_others() -> None:
    assert {(operation.method, operation.path) for operation in OPERATIONS} == {
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{model:path}"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
    }
    assert all(callable(getattr(Routes, operation.handler)) for operation in OPERATIONS)


def test_only_health_needs_no_key() -> None:
    open_in_document = {
        path
        for path, methods in document()["paths"].items()
        for operation in methods.values()
        if operation["security"] == []
    }
    assert open_in_document == OPEN_PATHS == {"/health/live", "/health/ready"}


def test_no_operation_documents_statuses_that_the_gateway_never_gives() -> None:
    for methods in document()["paths"].values():
        for operation in methods.values():
            assert "422" not in operation["responses"]
            assert operation["operationId"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/responses", "/v1/responses"),
        ("/v1/models/a/secret", "/v1/models/{id}"),
        ("/v1/secret", "(unknown)"),
        ("/v1/responses/resp_1", "(unknown)"),
    ],
)
def test_a_label_never_holds_what_a_client_wrote(path: str, name: str) -> None:
    assert label(path) == name


def test_another_method_is_405_with_the_right_one(gateway: Gateway) -> None:
    with gateway.client() as client:
        for operation in OPERATIONS:
            answer = client.request("DELETE", operation.path.replace("{model:path}", "x"))
            assert answer.status_code == 405
            assert answer.headers["allow"] == operation.method
            assert answer.json()["error"]["code"] == "method_not_allowed"
