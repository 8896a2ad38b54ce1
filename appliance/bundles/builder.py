"""Builds a bundle from a recipe: the stages in their order, each done once.

    base → finetune (or the adapter beside the recipe) → merge → quantize → evaluate → assemble → seal → sign

What is made lies below one directory, a folder a stage, with a receipt beside
each. The bundle itself is ``<name>-<version>``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.bundles import (
    base,
    digests,
    evaluate,
    exam,
    exam_page,
    finetune,
    merge,
    pack,
    provenance,
    quantize,
    recipes,
    sign,
)
from appliance.bundles.provenance import Training
from appliance.bundles.stage import Done
from appliance.bundles.workshop import Workshop
from appliance.core import golden, recipe
from appliance.core.building import Building
from appliance.core.sbom import Component
from appliance.errors import ModelUnusable
from appliance.tutor.schemas import response_format

#: Stages as :func:`build` announces them.
STAGES = ("base", "finetune", "merge", "quantize", "evaluate", "seal")
_GOLDEN_QUESTIONS = 4
_CARRIED_TEXTS = ("LICENSE", "LICENCE", "USE_POLICY.md", "LICENSE.txt")
_TOOLS = ("torch", "transformers", "peft", "trl", "llmcompressor", "compressed-tensors")

#: ``announce(stage)``: a context around one stage, given the function that takes its outcome in words.
Announce = Callable[[str], AbstractContextManager[Callable[[str], None]]]


@dataclass(frozen=True)
class Order:
    """What to build.

    Args:
        recipe_folder: ``models/<name>``.
        base: directory of the base, where the recipe names no package.
        base_sha256: its digest, where the recipe pins none.
        profile: fine-tuning profile; empty to use the adapter beside the recipe, or none if there is none.
        quantization: by name; empty for the recipe's first.
        items: the academy's own items.
        key: private key to sign with.
        password: of the key.
        ignore_gate: seal although the scores are below the gate; the bundle states them all the same.
    """

    recipe_folder: Path
    base: Path | None = None
    base_sha256: str = ""
    profile: str = ""
    quantization: str = ""
    items: Path | None = None
    key: Path | None = None
    password: bytes | None = None
    ignore_gate: bool = False


def build(order: Order, building: Building, shop: Workshop, announce: Announce, tick: Callable[[], None]) -> Path:
    """Build, or go on where an interrupted build stopped.

    Returns:
        The bundle's directory.

    Raises:
        ApplianceError: what the stages raise; everything that was finished stays.
    """
    quantization = building.quantization(order.quantization)
    with announce("base") as tell:
        source = _base(order, building, shop, tick)
        tell(_words(source))
    adapter = order.recipe_folder / recipes.ADAPTER_FOLDER
    with announce("finetune") as tell:
        if order.profile:
            tuned = finetune.stage(shop, source, building.tuning(order.profile))
            adapter = tuned.directory / finetune.ADAPTER_FOLDER
            tell(_words(tuned))
        else:
            tell(f"the adapter in {adapter}" if adapter.is_dir() else "no adapter: the base as it is")
    with announce("merge") as tell:
        merged = merge.stage(shop, source, adapter) if adapter.is_dir() else source
        tell(_words(merged))
    with announce("quantize") as tell:
        quantized = quantize.stage(shop, merged, quantization, building.exam.seed)
        tell(_words(quantized))
    with announce("evaluate") as tell:
        models = {
            "base": source,
            **({"fine-tuned": merged} if merged is not source else {}),
            quantization.name: quantized,
        }
        evaluated = evaluate.stage(shop, models, building.exam, order.items)
        reached = evaluate.read(evaluated)[-1]
        tell(f"{_words(evaluated)}; {', '.join(f'{name} {share:.1%}' for name, share in reached.items())}")
        if not order.ignore_gate:
            evaluate.require(building.exam, reached)
    if order.profile:
        _keep(order, building, shop, source, evaluated)
    with announce("seal") as tell:
        directory = _assemble(building, quantized, evaluated, shop.out)
        recipe_sha256 = digests.of_file(order.recipe_folder / recipe.FILE_NAME)
        stated = building.manifest(quantization, recipe_sha256, reached)
        pack.seal(directory, stated, _components(building, source, adapter))
        if order.key:
            sign.directory(directory, order.key, order.password)
        tell(f"{directory}{'' if order.key else ', not signed'}")
    return directory


def _keep(order: Order, building: Building, shop: Workshop, source: Done, evaluated: Done) -> None:
    """Leave the adapter with its provenance in ``adapter``, to be put beside the recipe."""
    tuned = shop.out / "finetuned"
    tuning = building.tuning(order.profile)
    training = Training(
        base=building.base,
        base_sha256=source.receipt.digest,
        recipe_sha256=digests.of_file(order.recipe_folder / recipe.FILE_NAME),
        profile=order.profile,
        tuning=tuning,
        corpus_sha256=finetune.corpus_digest(tuning.seed),
        command=f"appliance bundle build {order.recipe_folder.name} --finetune {order.profile}",
    )
    scores = json.loads((evaluated.directory / exam_page.SCORES_NAME).read_text(encoding="utf-8"))
    history = json.loads((tuned / finetune.LOSS_NAME).read_text(encoding="utf-8"))
    target = shop.out / recipes.ADAPTER_FOLDER
    provenance.keep(tuned / finetune.ADAPTER_FOLDER, target, training, history, scores["models"])
    shutil.copyfile(tuned / finetune.CURVE_NAME, target / finetune.CURVE_NAME)
    _write_golden(target, scores)


def _words(done: Done) -> str:
    return "as it was made before" if done.was_there else str(done.directory)


def _base(order: Order, building: Building, shop: Workshop, tick: Callable[[], None]) -> Done:
    target = shop.out / "base"
    if order.base:
        return base.from_directory(building, order.base, order.base_sha256, target)
    if not building.packaged:
        raise ModelUnusable(
            f"The recipe of {building.name} names no package: its base is fetched by the builder.",
            remedy="Give the directory of the base model with --base (docs/licences.md).",
        )
    text = (order.recipe_folder / recipe.FILE_NAME).read_text(encoding="utf-8")
    return base.from_package(recipe.parse(text), target, shop.tree, tick)


def _assemble(building: Building, quantized: Done, evaluated: Done, out: Path) -> Path:
    """The bundle's files, but for what ``pack.seal`` writes."""
    directory = out / f"{building.name}-{building.version}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name in quantized.receipt.outputs:
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(quantized.directory / name, target)
    for name in _CARRIED_TEXTS:
        if (out / "base" / name).is_file():
            shutil.copyfile(out / "base" / name, directory / name)
    if building.licence.startswith("LicenseRef-") and not any((directory / name).is_file() for name in _CARRIED_TEXTS):
        raise ModelUnusable(
            f"The base came without the text of its licence, {building.licence}, which must go with every copy.",
            remedy="Put its LICENSE or LICENSE.txt into the directory of --base.",
        )
    if building.notice:
        (directory / "NOTICE").write_text(building.notice.strip() + "\n", encoding="utf-8")
    _write_golden(directory, json.loads((evaluated.directory / exam_page.SCORES_NAME).read_text(encoding="utf-8")))
    return directory


def _write_golden(directory: Path, scores: Mapping[str, Any]) -> None:
    if questions := _golden(scores):
        document = {"format": golden.FORMAT, "questions": questions}
        text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
        (directory / golden.FILE_NAME).write_text(text, encoding="utf-8")


def _golden(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A few diagnoses that this model and the unquantized one both got right, Korean and English in turn.

    They are asked on the box before the model serves: one that answers them
    otherwise there is not the model that was examined.
    """
    models = scores["models"][-2:]
    right = [
        item
        for place, item in enumerate(models[-1]["items"])
        if item["task"] == "diagnosis" and not any(model["items"][place]["faults"] for model in models)
    ]
    by_language = [[item for item in right if item["language"] == language] for language in ("ko", "en")]
    turns = [item for pair in zip(*by_language, strict=False) for item in pair]
    return [_question(number, item) for number, item in enumerate(turns[:_GOLDEN_QUESTIONS], start=1)]


def _question(number: int, item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"diagnosis-{item['language']}-{number}",
        "messages": [{"role": one["role"], "content": one["content"]} for one in item["messages"]],
        "max_tokens": exam.MAX_TOKENS,
        "response_format": response_format("diagnosis"),
        "checks": [{"name": "json_has", "value": {"error_type": item["mistake"]}}],
    }


def _components(building: Building, source: Done, adapter: Path) -> Iterable[Component]:
    from importlib import metadata

    yield Component(
        "machine-learning-model", building.base, "as fetched", building.licence, sha256=source.receipt.digest
    )
    if adapter.is_dir():
        weights = adapter / "adapter_model.safetensors"
        yield Component("data", "adapter", building.version, "Apache-2.0", sha256=digests.of_file(weights))
    corpus = finetune.corpus_digest(building.exam.seed)
    yield Component("data", "appliance.tutor.corpus", building.version, "Apache-2.0", sha256=corpus)
    for name in _TOOLS:
        yield Component("library", name, metadata.version(name), purl=f"pkg:pypi/{name}@{metadata.version(name)}")
