"""The composition: its layers in their order, and the document of what exists."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from appliance.gateway.app import compose
from appliance.gateway.operations import COMPLETIONS, LIVE, MODELS, OPEN_PATHS, READY, label
from appliance.settings import Settings
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import Gateway, start


def router(app: object) -> object:
    while not hasattr(app, "openapi"):
        app = app.app  # type: ignore[attr-defined]
    return app


@pytest.fixture
def document(state_dir: Path) -> dict:
    found: dict = router(compose(Settings(state_dir=state_dir))).openapi()  # type: ignore[attr-defined]
    return found


def test_document_lists_the_public_routes_and_no_engine_route(document: dict) -> None:
    paths = set(document["paths"])
    assert {COMPLETIONS, MODELS, LIVE, READY, "/v1/chat/completions"} <= paths
    assert not paths & {"/metrics", "/tokenize", "/invocations", "/docs", "/openapi.json"}
    assert all(path.startswith(("/v1/", "/health/")) for path in paths)


def test_document_says_that_all_but_health_needs_a_key(document: dict) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert bool(operation.get("security")) == (path not in OPEN_PATHS), path


def test_every_failure_of_the_document_is_in_the_error_form(document: dict) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")):
                    schema = response["content"]["application/json"]["schema"]
                    assert schema["$ref"].endswith("/ErrorResponse") or status == "422", (path, status)


def test_host_is_judged_before_the_key(state_dir: Path, engine: FakeEngine) -> None:
    for gateway in start(state_dir, engine, allowed_hosts=("box.example",)):
        stranger = httpx.get(f"{gateway.url}{MODELS}", headers={"host": "evil.example"})
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (421, "untrusted_host")
        ours = httpx.get(f"{gateway.url}{MODELS}", headers={"host": "box.example:1234"})
        assert ours.json()["error"]["code"] == "missing_api_key"


def test_gateway_starts_before_its_engine_and_without_any_key(state_dir: Path, engine: FakeEngine) -> None:
    engine.stop()
    for gateway in start(state_dir, engine):
        with gateway.client() as client:
            assert client.get(LIVE).status_code == 200
            assert client.get(READY).status_code == 503
            assert client.get(MODELS).json()["error"]["code"] == "engine_unavailable"
            assert gateway.chat().json()["error"]["code"] == "engine_unavailable"
        engine.start()
        gateway.wait_ready()
        assert gateway.chat().status_code == 200


def test_one_gateway_serves_many_at_once(gateway: Gateway) -> None:
    gateway.engine.mode, gateway.engine.gap_seconds = "slow", 0.01
    with gateway.client() as client:
        streams = [
            client.stream(
                "POST",
                "/v1/chat/completions",
                json={"model": "gpt-4o", "messages": [{"role": "user", "content": str(i)}], "stream": True},
            )
            for i in range(8)
        ]
        responses = [stream.__enter__() for stream in streams]
        bodies = [response.read() for response in responses]
        for stream in streams:
            stream.__exit__(None, None, None)
    assert all(body.endswith(b"data: [DONE]\n\n") for body in bodies)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/models/secret-of-a-pupil", "/v1/models/{id}"),
        ("/secret-of-a-pupil", "(unknown)"),
        ("", "(unknown)"),
    ],
)
def test_log_names_a_route_and_never_what_a_client_wrote(path: str, name: str) -> None:
    assert label(path) == name
