"""A program: base and adapter to the quantized model that is served, where the engine runs.

    python -m appliance.bundles.assemble BASE [ADAPTER] TARGET

The demo has the engine's environment alone, without peft and llm-compressor.
What these two do to a small model is arithmetic of a few lines: the adapter's
product is added in float32, and each row of a linear layer is rounded to eight
bits by its largest value (W8A8: activations are scaled token by token as they
come, so nothing is calibrated). The rounding is done by compressed-tensors,
which llm-compressor uses for it too and which comes with vLLM: the bytes are
the same.

Source: Hu et al. 2021, "LoRA" (arXiv:2106.09685), section 4.1.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appliance.bundles import merge

#: Taken over from the base byte by byte.
CARRIED = (*merge.CARRIED, "generation_config.json")
_LINEAR = re.compile(r"model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj\.weight")
_PREFIX = "base_model.model."
_BITS = 8


def merged(base: Mapping[str, Any], adapter: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """The base's tensors with the adapter added: ``W + scale * B @ A``.

    Args:
        base: weights by name, bfloat16; those of linear layers ``(out, in)``.
        adapter: by name ``base_model.model.<layer>.lora_A.weight`` ``(rank, in)`` and ``lora_B`` ``(out, rank)``.
        scale: the adapter's alpha over its rank.

    Raises:
        ValueError: the adapter is of another base, or holds what is not added here.
    """
    import torch

    weights = dict(base)
    left = set(adapter)
    for name in sorted(adapter):
        if not name.endswith(".lora_A.weight"):
            continue
        pair = name.replace(".lora_A.", ".lora_B.")
        target = name.removeprefix(_PREFIX).replace(".lora_A.weight", ".weight")
        if target not in weights or pair not in adapter:
            raise ValueError(f"the adapter's {name} belongs to no layer of the base")
        added = adapter[pair].to(torch.float32) @ adapter[name].to(torch.float32) * scale
        if added.shape != weights[target].shape:
            raise ValueError(f"the adapter's {name} has another shape than the base's layer")
        weights[target] = (weights[target].to(torch.float32) + added).to(weights[target].dtype)
        left -= {name, pair}
    if left:
        raise ValueError(f"the adapter's {min(left)} is nothing that can be added")
    return weights


def rounded(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Linear layers in eight bits with a scale a row, as compressed-tensors' ``int-quantized``; the rest as it is."""
    import torch
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import quantize
    from compressed_tensors.quantization.utils import calculate_qparams

    how = QuantizationArgs(num_bits=_BITS, type="int", symmetric=True, strategy="channel", dynamic=False)
    stored: dict[str, Any] = {}
    for name, weight in weights.items():
        if not _LINEAR.fullmatch(name):
            stored[name] = weight
            continue
        scale, zero = calculate_qparams(weight.amin(dim=1, keepdim=True), weight.amax(dim=1, keepdim=True), how)
        stored[name] = quantize(weight, scale, zero, how, dtype=torch.int8)
        stored[f"{name}_scale"] = scale
    return stored


def assemble(base: Path, adapter: Path | None, target: Path) -> None:
    """Write the model directory.

    Args:
        base: a model directory in bfloat16.
        adapter: ``adapter_model.safetensors`` and ``adapter_config.json``, as peft writes them; None for the base.
        target: directory to fill; made if missing.

    Raises:
        ValueError: base and adapter do not belong together.
        OSError: one cannot be read, or ``target`` not be written.
    """
    from safetensors.torch import load_file, save_file

    weights: dict[str, Any]
    if adapter is None:
        weights = load_file(base / "model.safetensors")
    else:
        scale = _scale(json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8")))
        weights = merged(load_file(base / "model.safetensors"), load_file(adapter / "adapter_model.safetensors"), scale)
    target.mkdir(parents=True, exist_ok=True)
    save_file(rounded(weights), target / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = quantization()
    (target / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for name in CARRIED:
        if (base / name).is_file():
            shutil.copyfile(base / name, target / name)


def _scale(stated: Mapping[str, Any]) -> float:
    if stated.get("use_rslora") or stated.get("use_dora") or stated.get("bias", "none") != "none":
        raise ValueError("the adapter is of a kind that is not added here")
    return float(stated["lora_alpha"]) / float(stated["r"])


def quantization() -> dict[str, Any]:
    """What ``config.json`` says of it: compressed-tensors' W8A8 with activations scaled a token at a time."""
    shared = {"num_bits": _BITS, "type": "int", "symmetric": True}
    group = {
        "format": "int-quantized",
        "targets": ["Linear"],
        "weights": {**shared, "strategy": "channel", "dynamic": False},
        "input_activations": {**shared, "strategy": "token", "dynamic": True},
    }
    return {
        "config_groups": {"group_0": group},
        "format": "int-quantized",
        "ignore": ["lm_head"],
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
    }


if __name__ == "__main__":
    assemble(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 3 else None, Path(sys.argv[-1]))
