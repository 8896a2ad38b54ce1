"""Claims about ``health.controls.requests``."""

from __future__ import annotations

from appliance.cli import this_host
from appliance.core.evidence import Outcome
from appliance.health.controls import requests
from appliance.settings import Settings
from tests.health.controls.world import World


def test_a_gateway_that_refuses_everything_shows_nothing(world: World) -> None:
    world.changes["refusal"] = lambda _path, _body: "invalid_request"
    result = requests.text_only(world.host())
    assert result.outcome is Outcome.FAIL
    assert "plain question is refused too" in result.reason.english


def test_the_parser_that_is_asked_is_the_gateways_own() -> None:
    tree = Settings()
    plain = {"model": "x", "messages": [{"role": "user", "content": "?"}]}
    assert this_host.refusal(tree, requests.CHAT, plain) == ""
    assert this_host.refusal(tree, requests.CHAT, {**plain, "guided_regex": "a"}) == "refused_field"
    assert this_host.refusal(tree, requests.COMPLETIONS, {"model": "x", "prompt": "?", "echo": True}) == "refused_field"
    assert this_host.answered_id("mine").startswith("req-")
