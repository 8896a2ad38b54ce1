"""The served model of a base and an adapter, by arithmetic that can be done by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from appliance.bundles import assemble

# compressed-tensors imports transformers, and that torch's older parts.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
LAYER = "model.layers.0.self_attn.q_proj.weight"
LORA = "base_model.model.model.layers.0.self_attn.q_proj"


def base() -> dict[str, torch.Tensor]:
    return {
        LAYER: torch.tensor([[1.0, -2.0], [0.5, 0.25]], dtype=torch.bfloat16),
        "model.norm.weight": torch.ones(2, dtype=torch.bfloat16),
        "model.embed_tokens.weight": torch.full((4, 2), 3.0, dtype=torch.bfloat16),
    }


def adapter() -> dict[str, torch.Tensor]:
    return {
        f"{LORA}.lora_A.weight": torch.tensor([[1.0, 2.0]]),
        f"{LORA}.lora_B.weight": torch.tensor([[0.5], [-1.0]]),
    }


def test_adapter_is_added_with_its_scale_and_nothing_else_changes() -> None:
    weights = assemble.merged(base(), adapter(), scale=2.0)
    assert weights[LAYER].dtype == torch.bfloat16
    assert weights[LAYER].tolist() == [[2.0, 0.0], [-1.5, -3.75]]
    for name in ("model.norm.weight", "model.embed_tokens.weight"):
        assert torch.equal(weights[name], base()[name])


def test_adapter_of_another_base_is_refused() -> None:
    other = {name.replace("layers.0", "layers.9"): tensor for name, tensor in adapter().items()}
    with pytest.raises(ValueError, match="belongs to no layer"):
        assemble.merged(base(), other, 1.0)
    wide = adapter() | {f"{LORA}.lora_A.weight": torch.ones(1, 3)}
    with pytest.raises(ValueError, match="shape"):
        assemble.merged(base(), wide, 1.0)


def test_part_that_would_be_left_out_is_refused() -> None:
    more = adapter() | {"base_model.model.lm_head.modules_to_save.weight": torch.ones(2, 2)}
    with pytest.raises(ValueError, match="nothing that can be added"):
        assemble.merged(base(), more, 1.0)


def test_only_linear_layers_are_rounded_each_row_by_its_largest_value() -> None:
    stored = assemble.rounded(base())
    scale = stored[f"{LAYER}_scale"]
    assert stored[LAYER].dtype == torch.int8
    assert scale.shape == (2, 1)
    assert stored[LAYER].tolist() == [[64, -127], [127, 64]]
    error = (stored[LAYER].float() * scale.float() - base()[LAYER].float()).abs()
    assert bool((error <= scale.float()).all())
    assert stored["model.embed_tokens.weight"].dtype == torch.bfloat16
    assert set(stored) == {*base(), f"{LAYER}_scale"}


def test_directory_is_whole_and_the_same_every_time(tmp_path: Path) -> None:
    source, tuned = tmp_path / "base", tmp_path / "adapter"
    for directory in (source, tuned):
        directory.mkdir()
    save_file(base(), source / "model.safetensors")
    (source / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (source / "tokenizer.json").write_text("{}")
    save_file(adapter(), tuned / "adapter_model.safetensors")
    (tuned / "adapter_config.json").write_text(json.dumps({"r": 16, "lora_alpha": 32, "bias": "none"}))
    contents = []
    for name in ("one", "two"):
        assemble.assemble(source, tuned, tmp_path / name)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"config.json", "model.safetensors", "tokenizer.json"}
    assert json.loads(contents[0]["config.json"])["quantization_config"]["quant_method"] == "compressed-tensors"
    assert load_file(tmp_path / "one" / "model.safetensors")[LAYER].dtype == torch.int8


def test_adapter_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 1, "lora_alpha": 1, "use_dora": True}))
    with pytest.raises(ValueError, match="kind"):
        assemble.assemble(tmp_path, tmp_path, tmp_path / "out")
