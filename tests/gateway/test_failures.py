"""Whatever goes wrong leaves in the OpenAI error form."""

from __future__ import annotations

import httpx
import pytest

from tests.gateway.conftest import CHAT, Gateway

FORM = {"message", "type", "param", "code"}
CANARY = "secret-of-a-pupil"


def assert_error(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert set(response.json()) == {"error"}
    assert set(response.json()["error"]) == FORM
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req-")
    assert "Traceback" not in response.text
    assert "/" + "work" not in response.text


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/v1", "/v1/files", "/tokenize", "/metrics", "/v1/chat"]
)
def test_unknown_route_is_404_in_the_error_form(gateway: Gateway, path: str) -> None:
    with gateway.client() as client:
        assert_error(client.get(path), 404, "unknown_url")


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions/", "/v1//models", "/health/live/", "/%76%31/models/../x", "/v1/chat/completions%00"]
)
def test_path_that_only_resembles_a_route_is_404(gateway: Gateway, path: str) -> None:
    with gateway.client() as client:
        assert client.post(path, json=CHAT).status_code in {404, 405}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_wrong_method_is_405_and_names_the_right_one(gateway: Gateway, method: str) -> None:
    with gateway.client() as client:
        response = client.request(method, "/v1/chat/completions")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    if method != "HEAD":
        assert_error(response, 405, "method_not_allowed")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"model":NaN}'])
def test_body_that_is_not_a_json_object_is_400(gateway: Gateway, body: bytes) -> None:
    with gateway.client() as client:
        response = client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_form_post_is_400(gateway: Gateway) -> None:
    with gateway.client() as client:
        assert_error(client.post("/v1/chat/completions", data={"a": "b"}), 400, "invalid_json")


def test_validation_error_names_the_field_and_never_its_value(gateway: Gateway) -> None:
    response = gateway.chat(messages=CANARY)
    assert_error(response, 400, "invalid_request")
    assert response.json()["error"]["param"] == "messages"
    assert CANARY not in response.text


def test_unexpected_exception_is_500_without_its_text(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr("appliance.gateway.relay.Relay.__call__", explode)
    response = gateway.chat()
    assert_error(response, 500, "internal_error")
    assert CANARY not in response.text


def test_every_response_has_an_id_of_its_own_and_its_time(gateway: Gateway) -> None:
    first, second = gateway.chat(), gateway.chat()
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert int(first.headers["openai-processing-ms"]) >= 0
