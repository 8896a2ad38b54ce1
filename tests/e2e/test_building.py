"""Claims about building a bundle, with the real tools in the build environment, on a Llama small enough for a minute."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.bundles import stage
from tests.bundles import signed
from tests.e2e.conftest import APPLIANCE, HERE, clean_environment

PYTHON = HERE.parents[1] / ".venv-build" / "bin" / "python"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
NAME = "tiny-tutor"
RECIPE = """
name = "tiny-tutor"
version = "1.0.0"

[base]
title = "a Llama of two layers"
licence = "Apache-2.0"

[finetune.lora]
steps = 3
rows = 4
checkpoint_steps = 2
heldout_rows = 4

[finetune.qlora]
steps = 2
rows = 4
four_bit = true
checkpoint_steps = 2
heldout_rows = 4

[quantize.w8a8]
scheme = "W8A8"
min_host_bytes = 1_000_000_000

[quantize.fp8]
scheme = "FP8_DYNAMIC"
min_gpu_bytes = 1_000_000_000

[quantize.w4a16]
scheme = "W4A16"
calibration_rows = 8
min_gpu_bytes = 1_000_000_000

[evaluate]
items = 2

[evaluate.gate]
diagnosis = 0.9

[engine.cpu]
max_model_len_tokens = 2048
"""
# Widths are multiples of W4A16's groups of 128.
TINY_LLAMA = """
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
config = LlamaConfig(hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, vocab_size=49152, max_position_embeddings=2048, tie_word_embeddings=True,
    bos_token_id=1, eos_token_id=2)
LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(sys.argv[1])
"""

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="there is no build environment here (make build-env)")


@dataclass(frozen=True)
class Yard:
    """Where bundles are built.

    Args:
        folder: of base, recipe and what is made.
        key: signs them.
    """

    folder: Path
    key: signed.Key

    def build(self, *options: str) -> subprocess.CompletedProcess[str]:
        base = self.folder / "base"
        names = sorted(path.name for path in base.iterdir())
        places = ["--models", str(self.folder / "models"), "--out", str(self.folder / "build")]
        digest = stage.digest_of_directory(base, names)
        given = ["--base", str(base), "--base-sha256", digest, "--key", str(self.key.private)]
        return subprocess.run(
            [str(PYTHON), "-m", "appliance", "bundle", "build", NAME, *places, *given, *options],
            env=clean_environment(APPLIANCE_STATE_DIR=str(self.folder / "state")),
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def yard(prepared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    folder = tmp_path_factory.mktemp("yard")
    base = folder / "base"
    subprocess.run([str(PYTHON), "-c", TINY_LLAMA, str(base)], check=True, env=clean_environment())
    for name in TOKENIZER:
        shutil.copyfile(prepared_state / "active" / name, base / name)
    recipe = folder / "models" / NAME / "recipe.toml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(RECIPE)
    return Yard(folder, signed.make_key(folder))


def verified(yard: Yard, tmp_path: Path) -> Mapping[str, object]:
    """What the box says of the bundle that was built, after verifying it as on a box."""
    trust = tmp_path / "trust"
    yard.key.write(trust)
    said = subprocess.run(
        [*APPLIANCE, "bundle", "verify", str(yard.folder / "build" / NAME / f"{NAME}-1.0.0"), "--json"],
        env=clean_environment(APPLIANCE_STATE_DIR=str(tmp_path), APPLIANCE_BUNDLES__TRUSTED_KEYS_DIR=str(trust)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    answer: Mapping[str, object] = json.loads(said.stdout)
    return answer


@pytest.mark.parametrize(("profile", "quantization"), [("lora", "w8a8"), ("lora", "w4a16"), ("qlora", "fp8")])
def test_each_profile_and_quantization_gives_a_signed_bundle(
    yard: Yard, tmp_path: Path, profile: str, quantization: str
) -> None:
    built = yard.build("--finetune", profile, "--quantize", quantization, "--ignore-gate", "--pack")
    assert built.returncode == 0, built.stderr
    assert verified(yard, tmp_path)
    assert (yard.folder / "build" / NAME / f"{NAME}-1.0.0.bundle").is_file()


def test_a_model_below_its_gate_is_not_sealed(yard: Yard) -> None:
    refused = yard.build("--finetune", "lora", "--quantize", "w8a8")
    assert refused.returncode != 0
    assert "diagnosis" in refused.stderr
    assert "Traceback" not in refused.stderr
