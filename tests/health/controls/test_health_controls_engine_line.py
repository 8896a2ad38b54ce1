"""Claims about ``health.controls.engine_line``."""

from __future__ import annotations

import pytest

from appliance.core.evidence import Outcome
from appliance.health.controls import engine_line
from tests.health.controls.world import World


@pytest.mark.parametrize(
    ("check", "more", "said"),
    [
        (engine_line.serialization, ("--kv-transfer-config", "{}"), "--kv-transfer-config"),
        (engine_line.code, ("--load-format=auto",), "--load-format is not safetensors"),
        (engine_line.grammar, ("--structured-outputs-config", "nonsense"), "names no backend"),
        (engine_line.template, ("--trust-request-chat-template",), "--trust-request-chat-template is given"),
        (engine_line.socket, ("--host=0.0.0.0",), "--host is given"),
    ],
)
def test_a_flag_behind_the_right_one_counts(world: World, check, more: tuple[str, ...], said: str) -> None:
    world.start_engine(more=more)
    result = check(world.host())
    assert result.outcome is Outcome.FAIL
    assert said in result.reason.english


def test_a_socket_that_anybody_may_use_fails(world: World) -> None:
    world.tree.socket_path.parent.mkdir()
    world.tree.socket_path.touch()
    world.tree.socket_path.chmod(0o666)
    assert "mode 666" in engine_line.socket(world.host()).reason.english
    world.tree.socket_path.chmod(0o660)
    assert engine_line.socket(world.host()).outcome is Outcome.PASS


def test_an_environment_that_may_not_be_read_is_unknown_and_the_arguments_still_count(world: World) -> None:
    (world.engine / "environ").unlink()
    assert engine_line.offline(world.host()).outcome is Outcome.UNKNOWN
    assert engine_line.template(world.host()).outcome is Outcome.PASS


def test_no_model_and_no_engine_is_unknown(world: World) -> None:
    (world.engine / "cmdline").unlink()
    (world.state / "active").unlink()
    assert "No model is in use" in engine_line.code(world.host()).reason.english
