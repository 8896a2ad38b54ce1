"""Where an adapter came from (``provenance.json``): enough to train it again, and what it reached, whatever that is."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from appliance.bundles import digests
from appliance.core.tuning import Tuning

FILE_NAME = "provenance.json"
_WEIGHTS = "adapter_model.safetensors"
_TAKEN = (_WEIGHTS, "adapter_config.json")
_TOOLS = ("torch", "transformers", "peft", "trl")
_LAST = 5  # entries of the loss curve that the last loss is the mean of


@dataclass(frozen=True)
class Training:
    """How an adapter was made.

    Args:
        base: title of the base, and digest of its files.
        base_sha256: digest of the base's directory.
        recipe_sha256: digest of the recipe.
        profile: name of the fine-tuning profile.
        tuning: its values.
        corpus_sha256: digest of the start of the corpus.
        command: what to type for it.
        seconds: how long it took; 0 if that was not measured.
        remarks: what else a reader should know, a sentence each.
    """

    base: str
    base_sha256: str
    recipe_sha256: str
    profile: str
    tuning: Tuning
    corpus_sha256: str
    command: str
    seconds: float = 0.0
    remarks: Sequence[str] = ()


def keep(
    trained: Path,
    target: Path,
    training: Training,
    history: Sequence[Mapping[str, Any]],
    models: Sequence[Mapping[str, Any]],
) -> None:
    """Copy a trained adapter into ``target``, with its provenance beside it.

    Args:
        trained: the directory that PEFT wrote.
        target: directory to fill, such as a recipe's ``adapter``.
        training: how it was made.
        history: the loss curve (``loss.json``).
        models: what was examined, as ``exam.view`` wrote it, the quantized model last.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in _TAKEN:
        shutil.copyfile(trained / name, target / name)
    losses = [float(entry["loss"]) for entry in history if "loss" in entry]
    stated = {
        "format": 1,
        **asdict(training),
        "samples": training.tuning.steps * training.tuning.rows,
        "loss_last": round(sum(losses[-_LAST:]) / max(1, len(losses[-_LAST:])), 4),
        "evaluation": compared(models)[models[-1]["title"]]["overall"],
        "scores": compared(models),
        "machine": machine(),
        "tools": {name: metadata.version(name) for name in _TOOLS},
        "weights_sha256": digests.of_file(target / _WEIGHTS),
    }
    (target / FILE_NAME).write_text(json.dumps(stated, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def compared(models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Shares of every examined model, overall and by language, from what ``exam.view`` wrote."""

    def shares(group: Mapping[str, Any]) -> dict[str, float]:
        return {name: share["ratio"] for name, share in group.items()}

    return {
        model["title"]: {
            "overall": shares(model["overall"]),
            **{language: shares(group) for language, group in model["by_language"].items()},
            "questions": len(model["items"]),
        }
        for model in models
    }


def machine() -> str:
    """What it ran on, in words: processor and cores, or the GPU."""
    try:
        import torch

        if torch.cuda.is_available():
            return str(torch.cuda.get_device_name())
    except ImportError:
        pass
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return f"{', '.join(sorted(names)) or platform.machine()}, {os.cpu_count()} cores"
