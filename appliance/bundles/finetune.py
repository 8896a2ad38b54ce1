"""A program: fine-tunes a base on the tutor's corpus with LoRA (PEFT, TRL's ``SFTTrainer``).

    python -m appliance.bundles.finetune JOB.json

It goes on from its last checkpoint, so it may be killed at any time. Runs in
the build environment alone, on the CPU or on one GPU, whichever torch finds.

``adapter`` holds the adapter, ``loss.json`` and ``loss.png`` the curve,
``checkpoints`` what an interrupted run goes on from.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance.bundles import shared_prefix
from appliance.bundles.lesson import Lesson
from appliance.bundles.loss_curve import draw
from appliance.bundles.sheets import Group
from appliance.bundles.stage import Done, digest_of, once
from appliance.bundles.workshop import Workshop
from appliance.core.tuning import Tuning, parse
from appliance.tutor.corpus import samples

#: Weights of the adapter are kept in bfloat16: half the size, and what the base is in.
ADAPTER_FOLDER = "adapter"
CHECKPOINT_FOLDER = "checkpoints"
LOSS_NAME, CURVE_NAME = "loss.json", "loss.png"
_CORPUS_LOOK = 500


def stage(shop: Workshop, base: Done, tuning: Tuning) -> Done:
    """Fine-tune, once; an interrupted one goes on."""
    stated = asdict(tuning)

    def make(directory: Path) -> None:
        job = {"base": str(base.directory), "target": str(directory), "tuning": stated}
        shop.program("finetune", job, "finetune")
        shutil.rmtree(directory / CHECKPOINT_FOLDER)

    inputs = {"base": base.receipt.digest, "tuning": digest_of(stated), "corpus": corpus_digest(tuning.seed)}
    return once("finetune", shop.out / "finetuned", inputs, make)


def corpus_digest(seed: int) -> str:
    """SHA-256 of the first samples of the corpus: changes when its generator does."""
    drawn = samples(seed, "train", _CORPUS_LOOK)
    return digest_of([[message.content for message in one.messages] + [one.answer] for one in drawn])


@dataclass(frozen=True)
class Job:
    """What to do.

    Args:
        base: directory of the base model.
        target: directory to fill.
        tuning: the recipe's profile.
    """

    base: Path
    target: Path
    tuning: Tuning


def finetune(job: Job) -> None:
    """Train, from the last checkpoint if there is one, and write the adapter and the loss curve."""
    import torch
    from transformers import AutoTokenizer

    on_gpu = torch.cuda.is_available()
    tokenizer = AutoTokenizer.from_pretrained(job.base, local_files_only=True)
    lesson = Lesson(job.tuning, tokenizer)
    trainer = _trainer(job, _base_model(job, on_gpu), tokenizer, lesson, on_gpu)
    checkpoints = job.target / CHECKPOINT_FOLDER
    found = sorted(checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    trainer.train(resume_from_checkpoint=str(found[-1]) if found else None)
    adapter = job.target / ADAPTER_FOLDER
    model = trainer.model
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.bfloat16)
    model.save_pretrained(adapter, safe_serialization=True)
    (adapter / "README.md").unlink(missing_ok=True)
    _forget_place(adapter / "adapter_config.json")
    (job.target / LOSS_NAME).write_text(json.dumps(trainer.state.log_history, indent=1), encoding="utf-8")
    draw(trainer.state.log_history, job.target / CURVE_NAME)


def _forget_place(path: Path) -> None:
    """The adapter goes to other machines: where its base lay on this one is nobody's business."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = None
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _base_model(job: Job, on_gpu: bool) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig, set_seed

    shared_prefix.register()
    set_seed(job.tuning.seed)
    four_bit = {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    }
    model = AutoModelForCausalLM.from_pretrained(
        job.base,
        dtype=torch.bfloat16,
        attn_implementation=shared_prefix.NAME,
        local_files_only=True,
        **(four_bit if job.tuning.four_bit else {}),
    )
    if on_gpu and not job.tuning.four_bit:
        model = model.to("cuda")
    lora = LoraConfig(
        r=job.tuning.rank,
        lora_alpha=job.tuning.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, lora)
    for module in model.modules():
        # The adapter's values stay in float32 for the optimizer; what goes through it is bfloat16 by autocast.
        if hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False
    if job.tuning.compile:
        for layer in model.base_model.model.model.layers:
            layer.compile(dynamic=True)
    return model


def _trainer(job: Job, model: Any, tokenizer: Any, lesson: Lesson, on_gpu: bool) -> Any:
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    tuning = job.tuning

    class AnswerTrainer(SFTTrainer):  # type: ignore[misc, unused-ignore]
        """The loss of a sheet's answers; only they go through the vocabulary's matrix."""

        def compute_loss(self, model: Any, inputs: dict[str, Any], *_arguments: Any, **_names: Any) -> Any:
            return _loss(model, inputs, tuning.sampled_vocabulary)

    class Tell(TrainerCallback):  # type: ignore[misc, unused-ignore]
        """Says how far it is, and tries held-out diagnoses at each checkpoint."""

        def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, Any], **_names: Any) -> None:
            if "loss" in logs:
                _tell(f"step {state.global_step} of {state.max_steps}: loss {float(logs['loss']):.4f}")

        def on_save(self, _args: Any, state: Any, _control: Any, **_names: Any) -> None:
            right = {language: heldout_right(model, lesson, language) for language in ("ko", "en")}
            state.log_history.append({"step": state.global_step, "heldout_exact": right})
            _tell(f"step {state.global_step}: held-out diagnoses exact {right}")

    args = SFTConfig(
        output_dir=str(job.target / CHECKPOINT_FOLDER),
        max_steps=tuning.steps,
        per_device_train_batch_size=1,
        learning_rate=tuning.learning_rate,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={"num_decay_steps": round(tuning.steps * tuning.decay_share), "min_lr_ratio": 0.05},
        warmup_steps=tuning.warmup_steps,
        weight_decay=0.0,
        max_grad_norm=1.0,
        adam_beta2=0.98,
        logging_steps=10,
        save_steps=tuning.checkpoint_steps,
        save_total_limit=2,
        train_sampling_strategy="sequential",
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        gradient_checkpointing=False,
        bf16=False,  # autocast is entered around the loss, where it is needed
        use_cpu=not on_gpu,
        report_to=[],
        disable_tqdm=True,
        seed=tuning.seed,
    )
    return AnswerTrainer(
        model=model,
        args=args,
        train_dataset=_dataset(lesson),
        processing_class=tokenizer,
        data_collator=_collate,
        callbacks=[Tell()],
    )


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _dataset(lesson: Lesson) -> Any:
    """The lesson as what TRL takes: rows are step numbers, each turned into its sheet when it is read."""
    from datasets import Dataset

    numbers = Dataset.from_dict({"step": list(range(len(lesson)))})
    return numbers.with_transform(lambda batch: {"sheet": [lesson[step] for step in batch["step"]]})


def _collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    return _tensors(items[0]["sheet"])


def _tensors(sheet: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {name: torch.tensor(values) for name, values in sheet.items()}


def _hidden(model: Any, inputs: dict[str, Any]) -> Any:
    """Last hidden states of a sheet, tokens × width."""
    groups = tuple(Group(rows, width) for rows, width in inputs["groups"].tolist())
    body = model.get_base_model().model
    output = body(
        input_ids=inputs["tokens"][None],
        position_ids=inputs["positions"][None],
        use_cache=False,
        prefix=int(inputs["prefix"]),
        groups=groups,
    )
    return output.last_hidden_state[0]


def _loss(model: Any, inputs: dict[str, Any], sampled: int) -> Any:
    """Mean cross-entropy of the answers' tokens.

    With ``sampled`` the normaliser runs over the sheet's own tokens and that many random ones instead of the whole
    vocabulary, which the base keeps improbable here anyway.
    """
    import torch
    from torch.nn import functional

    tokens, targets = inputs["tokens"], inputs["targets"]
    trained = targets.ge(0).nonzero()[:, 0]
    wanted = targets[trained]
    with torch.autocast(tokens.device.type, torch.bfloat16):
        hidden = _hidden(model, inputs)[trained]
        weight = model.get_base_model().lm_head.weight
        if sampled:
            drawn = torch.randint(0, weight.shape[0], (sampled,), device=tokens.device)
            # Every answer's first token has no place among the inputs of its own prediction: targets belong too.
            ids = torch.unique(torch.cat([tokens, wanted, drawn]))
            weight, wanted = weight[ids], torch.searchsorted(ids, wanted)
        logits = functional.linear(hidden, weight)
    return functional.cross_entropy(logits.float(), wanted)


def heldout_right(model: Any, lesson: Lesson, language: str) -> float:
    """Share of held-out diagnoses whose answer and key are the likeliest token by token, as greedy decoding gives them."""
    import torch

    right, total = 0, 0
    model.eval()
    device = next(model.parameters()).device
    for sheet in lesson.heldout(language):
        inputs = {name: value.to(device) for name, value in _tensors(sheet).items()}
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            hidden = _hidden(model, inputs)
            likeliest = model.get_base_model().lm_head(hidden).argmax(-1)
        targets = inputs["targets"]
        hit = (likeliest == targets) | targets.lt(0)
        place = int(inputs["prefix"])
        for rows, width in inputs["groups"].tolist():
            span = hit[place : place + rows * width].view(rows, width)
            right += int(span.all(dim=1).sum())
            total += rows
            place += rows * width
    model.train()
    return right / max(total, 1)


def read_job(path: Path) -> Job:
    """The job that a JSON file states."""
    stated = json.loads(path.read_text(encoding="utf-8"))
    return Job(Path(stated["base"]), Path(stated["target"]), parse(stated["tuning"]))


if __name__ == "__main__":
    finetune(read_job(Path(sys.argv[1])))
