"""The stage that examines base, fine-tuned and quantized model side by side, on questions that no training saw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from appliance.bundles import exam, exam_page
from appliance.bundles.stage import Done, digest_of, once
from appliance.bundles.workshop import Workshop
from appliance.core.building import Exam
from appliance.errors import GateMissed
from appliance.tutor.corpus import Sample

_BATCH = 32


def stage(shop: Workshop, models: Mapping[str, Done], examination: Exam, items: Path | None) -> Done:
    """Examine, once.

    Args:
        shop: where.
        models: title to model, the one that is bundled last.
        examination: how many held-out questions.
        items: an academy's own, asked as well.
    """
    asked = questions(examination, items)

    def make(directory: Path) -> None:
        results = [exam.mark(title, asked, _replies(shop, model, asked, directory)) for title, model in models.items()]
        own = f" and {len(asked) - examination.items} items of the academy's own" if items else ""
        what = (
            f"{examination.items} held-out questions (seed {examination.seed}){own}, without response_format, "
            "greedy decoding by transformers in bfloat16."
        )
        exam_page.write(results, directory, what)

    inputs = {
        "models": digest_of({title: model.receipt.digest for title, model in models.items()}),
        "questions": digest_of([[one.problem, exam.messages(one)] for one in asked]),
    }
    return once("evaluate", shop.out / "evaluation", inputs, make)


def questions(examination: Exam, items: Path | None) -> list[Sample]:
    """What is asked: held-out samples, then the academy's own items."""
    return exam.heldout(examination.seed, examination.items) + (exam.read_items(items) if items else [])


def read(done: Done) -> list[dict[str, float]]:
    """The shares of each model by score's name, in the order they were examined."""
    stated = json.loads((done.directory / exam_page.SCORES_NAME).read_text(encoding="utf-8"))
    return [{name: share["ratio"] for name, share in model["overall"].items()} for model in stated["models"]]


def require(examination: Exam, reached: Mapping[str, float]) -> None:
    """Hold a model to its recipe's gate.

    Raises:
        GateMissed: says which scores are short, and by how much.
    """
    if short := examination.shortfalls(reached):
        raise GateMissed(f"The model's scores are below its recipe's gate: {'; '.join(short)}.")


def _replies(shop: Workshop, model: Done, asked: list[Sample], directory: Path) -> list[str]:
    # One file a model: an interrupted evaluation keeps those that are whole.
    replies = directory / f"replies-{model.directory.name}.json"
    if not replies.is_file():
        job = {
            "model": str(model.directory),
            "questions": [exam.messages(one) for one in asked],
            "replies": str(replies),
            "batch": _BATCH,
            "max_tokens": exam.MAX_TOKENS,
        }
        shop.program("examine", job, f"examine-{model.directory.name}")
    listed: list[str] = json.loads(replies.read_text(encoding="utf-8"))
    return listed
