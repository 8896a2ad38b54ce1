"""Every failure names itself, says what happened and what to do."""

from __future__ import annotations

import re

import pytest

from appliance import errors
from appliance.errors import ApplianceError, OperatorError

CLASSES = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ApplianceError)),
    key=lambda kind: kind.__name__,
)
# The error types of the OpenAI API, which its SDKs map to exception classes.
TYPES = {
    "authentication_error",
    "insufficient_quota",
    "invalid_request_error",
    "permission_error",
    "rate_limit_error",
    "server_error",
}


@pytest.mark.parametrize("kind", CLASSES)
def test_error_has_key_message_remedy_and_status(kind: type[ApplianceError]) -> None:
    assert re.fullmatch(r"[a-z0-9_]+", kind.key)
    assert re.search(r"[.:]$", kind.message), "a message is a sentence"
    assert re.search(r"[.:]$", kind.remedy), "a remedy is a sentence"
    assert 400 <= kind.status <= 599
    assert kind.type in TYPES
    assert 1 <= kind.exit_code <= 125
    assert kind.__doc__


def test_keys_are_unique() -> None:
    # A subclass without a key of its own is the same thing to a client.
    keys = [kind.key for kind in CLASSES if "key" in vars(kind)]
    assert sorted(keys) == sorted(set(keys))


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if issubclass(kind, OperatorError)])
def test_operators_error_ends_a_command_with_failure(kind: type[OperatorError]) -> None:
    assert kind.exit_code != 0


def test_error_is_printed_as_message_and_remedy() -> None:
    assert (
        str(errors.PortTaken("Port 8080 is taken.", remedy="Choose another.")) == "Port 8080 is taken. Choose another."
    )


def test_error_without_words_takes_those_of_its_class() -> None:
    error = errors.MissingKey()
    assert str(error) == f"{errors.MissingKey.message} {errors.MissingKey.remedy}"
    assert (error.param, error.headers) == (None, {})


def test_errors_words_do_not_change_those_of_its_class() -> None:
    errors.RateLimited("Slow down.", headers={"Retry-After": "3"})
    assert errors.RateLimited().message != "Slow down."
    assert errors.RateLimited().headers == {}
