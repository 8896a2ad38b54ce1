"""A program: stores a model's weights in fewer bits, by llm-compressor.

    python -m appliance.bundles.quantize JOB.json

    {"model", "target", "scheme", "ignore", "calibration_rows", "seed"}

FP8_DYNAMIC is for Ada and Hopper, W4A16 for smaller cards, W8A8 for the CPU.
FP8 and W8A8 round weights channel by channel and scale activations token by
token as they come: nothing is calibrated. W4A16 looks at samples of the corpus
(GPTQ), since four bits rounded blindly cost too much.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from appliance.bundles.merge import carry
from appliance.bundles.stage import Done, digest_of, once
from appliance.bundles.workshop import Workshop
from appliance.core.building import Quantization
from appliance.tutor.corpus import Sample, samples

_LONGEST_TOKENS = 512
_CONFIG = "config.json"


def stage(shop: Workshop, model: Done, quantization: Quantization, seed: int) -> Done:
    """Quantize, once."""
    job = {
        "scheme": quantization.scheme,
        "ignore": list(quantization.ignore),
        "calibration_rows": quantization.calibration_rows,
        "seed": seed,
    }

    def make(directory: Path) -> None:
        places = {"model": str(model.directory), "target": str(directory)}
        shop.program("quantize", {**job, **places}, "quantize")

    inputs = {"model": model.receipt.digest, "job": digest_of(job)}
    return once("quantize", shop.out / f"quantized-{quantization.name}", inputs, make)


def quantize(job: dict[str, Any]) -> None:
    """Write the quantized model into the job's ``target``."""
    import torch
    from llmcompressor import oneshot
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, target = Path(job["model"]), Path(job["target"])
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        source,
        dtype=torch.bfloat16,
        local_files_only=True,
        device_map="auto" if torch.cuda.is_available() else None,
    )
    calibrated: dict[str, Any] = {}
    if job["calibration_rows"]:
        calibrated = {
            "dataset": _calibration(tokenizer, job["seed"], job["calibration_rows"]),
            "num_calibration_samples": job["calibration_rows"],
            "max_seq_length": _LONGEST_TOKENS,
        }
    oneshot(model=model, recipe=_modifier(job["scheme"], job["ignore"]), **calibrated)
    model.save_pretrained(target, save_compressed=True)
    carry(source, target)
    _tidy(target)


def _modifier(scheme: str, ignore: list[str]) -> Any:
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier

    kind = GPTQModifier if scheme == "W4A16" else QuantizationModifier
    return kind(targets="Linear", scheme=scheme, ignore=ignore)


def _calibration(tokenizer: Any, seed: int, rows: int) -> Any:
    from datasets import Dataset

    def tokens(sample: Sample) -> dict[str, Any]:
        asked = [{"role": message.role, "content": message.content} for message in sample.messages]
        whole = [*asked, {"role": "assistant", "content": sample.answer}]
        ids = tokenizer.apply_chat_template(whole, tokenize=True, return_dict=False)[:_LONGEST_TOKENS]
        return {"input_ids": ids, "attention_mask": [1] * len(ids)}

    return Dataset.from_list([tokens(sample) for sample in samples(seed, "train", rows)])


def _tidy(target: Path) -> None:
    """Leave only what an engine reads: llm-compressor's own record of the recipe goes, paths of this machine too."""
    for name in ("recipe.yaml", "README.md"):
        (target / name).unlink(missing_ok=True)
    path = target / _CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    quantize(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
