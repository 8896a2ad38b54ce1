"""What the layers tell each other about one request."""

from __future__ import annotations

import dataclasses

import pytest

from appliance.core.privacy import LOG_FIELDS
from appliance.gateway import exchange
from appliance.gateway.exchange import Exchange


def test_inner_layers_see_the_exchange_that_the_outer_one_attached() -> None:
    scope: dict[str, object] = {}
    this = Exchange("req-1", "/v1/models", "GET", 0.0)
    exchange.attach(scope, this)
    exchange.of(scope).key_id = "abcd2345"
    assert this.key_id == "abcd2345"


def test_request_without_an_exchange_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        exchange.of({})


def test_exchange_has_no_place_for_content() -> None:
    names = {field.name for field in dataclasses.fields(Exchange)}
    assert not names & {"body", "messages", "prompt", "content", "text", "key", "headers"}
    assert {"key_id", "model", "status", "stream"} <= names & LOG_FIELDS
