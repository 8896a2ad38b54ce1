"""Claims about ``health.controls.bundle``."""

from __future__ import annotations

import json

import pytest

from appliance.core.evidence import Outcome
from appliance.health.controls import bundle
from tests.health.controls.world import World


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("weights.bin", b"x", "weights.bin"),
        ("config.json", json.dumps({"auto_map": {"AutoModel": "evil"}}).encode(), "names code at auto_map"),
        ("model.safetensors", b"PK\x03\x04" + b"x" * 60, "zip archive"),
        ("tokenizer.json", b"not json", "is not JSON"),
    ],
)
def test_what_could_be_code_is_named(world: World, name: str, content: bytes, said: str) -> None:
    (world.model / name).write_bytes(content)
    result = bundle.files(world.host())
    assert result.outcome is Outcome.FAIL
    assert said in result.reason.english


@pytest.mark.parametrize("which", ["missing", "added", "unsigned", "untrusted"])
def test_a_model_that_is_not_what_was_signed_fails(world: World, which: str) -> None:
    if which == "added":
        (world.model / "extra.json").write_text("{}")
    else:
        gone = {"missing": world.model / "LICENSE", "unsigned": world.model / "bundle.sig"}
        gone.get(which, world.state / "trust" / "example.toml").unlink()
    assert bundle.signature(world.host()).outcome is Outcome.FAIL


def test_no_model_is_unknown(world: World) -> None:
    (world.state / "active").unlink()
    assert bundle.signature(world.host()).outcome is Outcome.UNKNOWN
    assert bundle.files(world.host()).outcome is Outcome.UNKNOWN
