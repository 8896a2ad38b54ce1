"""What vLLM's advisories describe and the engine's launch line, environment or model check rules out, by id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.engine import command, environment, model, profiles
from appliance.errors import ModelUnusable
from appliance.settings import Settings
from tests.engine import bundle

SETTINGS = Settings(state_dir=Path("/srv/appliance"))


@pytest.fixture
def line(tmp_path):
    return command.build(model.read(bundle.make(tmp_path)), profiles.GPU_24GB, SETTINGS)


def test_cve_2025_32444_cve_2025_29783_cve_2025_30165_cve_2025_30202_no_pickle_is_taken_from_a_network(line):
    """One node, no connector to another, no insecure serialisation: nothing listens but a Unix socket."""
    assert not [word for word in line.argv if word.startswith(("--kv-transfer", "--ec-transfer", "--kv-events"))]
    assert not {"--nnodes", "--node-rank", "--master-addr", "--data-parallel-address", "--host", "--port"} & {
        *line.argv
    }
    assert "--uds" in line.argv
    assert "VLLM_ALLOW_INSECURE_SERIALIZATION" not in line.environment
    assert line.environment["VLLM_HOST_IP"] == "127.0.0.1"


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_cve_2026_22807_code_that_a_model_names_is_refused_before_the_start(tmp_path, name):
    content = {**bundle.CONFIG, "auto_map": {"AutoModel": "evil--modeling.Evil"}}
    directory = bundle.make(tmp_path, **{name.replace(".", "__"): content})
    with pytest.raises(ModelUnusable, match="auto_map"):
        model.read(directory)


def test_cve_2026_27893_remote_code_is_never_trusted(line, tmp_path):
    assert "--no-trust-remote-code" in line.argv
    assert "--trust-remote-code" not in line.argv
    with pytest.raises(ModelUnusable, match="refused file"):
        model.read(bundle.make(tmp_path / "two", modeling__py="import os"))


@pytest.mark.parametrize("name", ["pytorch_model__bin", "weights__pt", "weights__pkl", "weights__pth", "weights__ckpt"])
def test_cve_2025_32434_cve_2026_24747_weights_are_safetensors_only(line, tmp_path, name):
    assert line.argv[line.argv.index("--load-format") + 1] == "safetensors"
    with pytest.raises(ModelUnusable, match="refused file"):
        model.read(bundle.make(tmp_path / "two", **{name: b"\x80\x04."}))


def test_cve_2025_29770_cve_2025_32381_one_grammar_backend_and_no_choice_of_a_client(line):
    config = json.loads(line.argv[line.argv.index("--structured-outputs-config") + 1])
    assert config["backend"] == "xgrammar"


def test_cve_2025_62426_cve_2026_115911_the_template_is_the_bundles(line):
    assert "--no-trust-request-chat-template" in line.argv
    assert line.argv[line.argv.index("--chat-template") + 1].endswith("chat_template.jinja")


def test_cve_2026_34756_a_second_wall_behind_the_gateways_caps(line):
    assert line.environment["VLLM_MAX_N_SEQUENCES"] == str(SETTINGS.gateway.max_choices)
    assert line.environment["VLLM_MAX_COMPLETION_PROMPTS"] == str(SETTINGS.gateway.max_prompts)


def test_cve_2025_46570_cve_2025_46722_cached_prompts_are_told_apart_by_a_strong_hash(line):
    assert line.argv[line.argv.index("--prefix-caching-hash-algo") + 1] == "sha256"


def test_phoning_home_is_off_on_every_line(line):
    for name in ("VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        assert line.environment[name] == "1"
    assert {"--no-enable-log-requests", "--no-enable-log-outputs", "--disable-fastapi-docs"} <= {*line.argv}
    assert "VLLM_SERVER_DEV_MODE" not in {**line.environment, **environment.build(SETTINGS)}
