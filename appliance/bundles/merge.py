"""A program: adds an adapter to its base, so that what is served is one model.

python -m appliance.bundles.merge JOB.json      {"base", "adapter", "target"}

An engine could add the adapter at run time; merged, it can be quantized as well.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from appliance.bundles.stage import Done, digest_of_directory, once
from appliance.bundles.workshop import Workshop

#: What a model directory needs besides weights and configuration; taken over from the base byte by byte.
CARRIED = ("chat_template.jinja", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "LICENSE")


def stage(shop: Workshop, base: Done, adapter: Path) -> Done:
    """Merge, once."""
    target = shop.out / "merged"
    inputs = {"base": base.receipt.digest, "adapter": digest_of_directory(adapter)}

    def make(directory: Path) -> None:
        job = {"base": str(base.directory), "adapter": str(adapter), "target": str(directory)}
        shop.program("merge", job, "merge")

    return once("merge", target, inputs, make)


def merge(base: Path, adapter: Path, target: Path) -> None:
    """Write the merged model in bfloat16 into ``target``.

    The product of the adapter's matrices is added in float32: in bfloat16 its
    small parts would be rounded away against the base's values.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    merged = PeftModel.from_pretrained(model, adapter, torch_dtype=torch.float32).merge_and_unload()
    merged.to(torch.bfloat16).save_pretrained(target)
    carry(base, target)


def carry(base: Path, target: Path) -> None:
    """Copy tokenizer and chat template."""
    for name in CARRIED:
        if (base / name).is_file():
            shutil.copyfile(base / name, target / name)


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    merge(Path(job["base"]), Path(job["adapter"]), Path(job["target"]))
