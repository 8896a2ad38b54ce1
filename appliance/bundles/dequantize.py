"""A program: turns one GGUF file into the directory that vLLM loads.

    python -m appliance.bundles.dequantize FILE.gguf DIRECTORY

``bundles.convert`` runs it as a process of its own, so that torch's gigabyte
of memory is given back and its talk goes to a log. transformers reads GGUF
itself and dequantizes to bfloat16, the type the base was trained in.
"""

from __future__ import annotations

import sys
from pathlib import Path


def dequantize(source: Path, target: Path) -> None:
    """Write safetensors, configuration, tokenizer and chat template into ``target``.

    Raises:
        OSError: ``source`` cannot be read or ``target`` not be written.
        ValueError: not a GGUF file of a known architecture.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
        local_files_only=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    model.save_pretrained(target)
    # The chat template goes into chat_template.jinja, a file of its own.
    tokenizer.save_pretrained(target)


if __name__ == "__main__":
    dequantize(Path(sys.argv[1]), Path(sys.argv[2]))
