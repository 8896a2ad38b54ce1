"""The public routes answer as an OpenAI client expects."""

from __future__ import annotations

import openai
import pytest

from tests.fakes.engine import MODEL
from tests.gateway.conftest import Gateway


@pytest.fixture
def sdk(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=10)


def test_chat_completion_says_which_model_really_answered(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "x"}])
    assert answer.model == MODEL
    assert answer.choices[0].message.content == "tok0 tok1 tok2 tok3 tok4 "


def test_completion_is_answered(sdk: openai.OpenAI) -> None:
    assert sdk.completions.create(model=MODEL, prompt="2+2=", max_tokens=2).choices[0].text == "tok0 tok1 "


def test_n_choices_are_answered(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x"}], n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


def test_models_lists_the_active_model_and_its_aliases(sdk: openai.OpenAI) -> None:
    names = [model.id for model in sdk.models.list()]
    assert names[0] == MODEL
    assert "gpt-4o" in names


@pytest.mark.parametrize("name", [MODEL, "gpt-4o"])
def test_model_is_found_by_name_and_by_alias(sdk: openai.OpenAI, name: str) -> None:
    assert sdk.models.retrieve(name).id == name


def test_unknown_model_is_404(gateway: Gateway, sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.models.retrieve("a/b")
    assert caught.value.code == "model_not_found"
    assert gateway.chat(model="gpt-9").json()["error"]["code"] == "model_not_found"


def test_ready_follows_the_engine_while_live_does_not(gateway: Gateway) -> None:
    gateway.engine.stop()
    gateway.wait_ready(False)
    with gateway.client() as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").json()["error"]["code"] == "engine_unavailable"


def test_hung_engine_is_not_ready_although_its_socket_accepts(gateway: Gateway) -> None:
    gateway.engine.mode = "hangs"
    gateway.wait_ready(False)
    assert gateway.chat().status_code == 503
    gateway.engine.mode = "normal"
    gateway.wait_ready()
    assert gateway.chat().status_code == 200
