from pathlib import Path

import pytest

from appliance.bundles import merge
from tests.bundles import shop, tiny_llama


@pytest.fixture
def adapter(tmp_path):
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_text("a")
    return folder


def test_stage_merges_once_and_again_for_another_adapter(tmp_path, adapter):
    def fake(job):
        assert job["adapter"] == str(adapter)
        Path(job["target"], "model.safetensors").write_text("merged")

    made = shop.make(tmp_path, merge=fake)
    base = shop.model(tmp_path)
    assert [merge.stage(made, base, adapter).was_there for _ in range(2)] == [False, True]
    (adapter / "adapter_model.safetensors").write_text("b")
    assert not merge.stage(made, base, adapter).was_there
    assert made.ran == ["merge", "merge"]


def test_tokenizer_and_template_are_carried_byte_by_byte(tmp_path):
    base, target = tmp_path / "base", tmp_path / "target"
    base.mkdir()
    target.mkdir()
    (base / "tokenizer.json").write_bytes(b"{ }\n")
    (base / "notes.txt").write_text("stays")
    merge.carry(base, target)
    assert [path.name for path in target.iterdir()] == ["tokenizer.json"]
    assert (target / "tokenizer.json").read_bytes() == b"{ }\n"


def test_merged_weights_are_the_base_and_the_adapters_product(tmp_path):
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft", reason="in the build environment alone (make build-env)")
    from transformers import AutoModelForCausalLM

    base, adapter, target = tmp_path / "base", tmp_path / "adapter", tmp_path / "target"
    model = tiny_llama.make()
    model.save_pretrained(base)
    weight = model.model.layers[0].mlp.up_proj.weight.detach().clone()
    tuned = peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=4, target_modules=["up_proj"]))
    layer = tuned.base_model.model.model.layers[0].mlp.up_proj
    layer.lora_B["default"].weight.data.normal_()
    added = 2 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    tuned.save_pretrained(adapter)
    target.mkdir()
    merge.merge(base, adapter, target)
    merged = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32)
    torch.testing.assert_close(merged.model.layers[0].mlp.up_proj.weight, weight + added, rtol=1e-2, atol=1e-2)
