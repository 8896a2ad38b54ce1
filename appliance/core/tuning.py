"""How a base is fine-tuned: one profile of a recipe's ``[finetune.<profile>]``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from appliance.errors import RecipeInvalid


@dataclass(frozen=True)
class Tuning:
    """One profile. Defaults are those of the 135M model on two CPU cores.

    Args:
        seed: of the corpus and of the adapter's first values.
        steps: optimizer steps in all.
        rows: samples of a step.
        group_rows: rows padded to one length (``sheets.lay_out``).
        rank: of the adapter's matrices.
        alpha: the adapter counts ``alpha / rank`` times.
        learning_rate: after the warm-up, until the decay.
        warmup_steps: from nothing to ``learning_rate``.
        decay_share: last part of the steps, in which the rate falls to a twentieth.
        explained_share: share of wrong-answer rows trained to the end; the others stop before the explanation,
            which is learnt quickest and would take a quarter of the time.
        invented_share: share of similar-problem rows in which the problem is trained, not its working and answer
            alone. A problem is drawn by chance, so that its digits cannot be learnt: they make the gradient noisy.
        sampled_vocabulary: how many random ids the loss is normalised over besides those of the sheet; 0 for all.
        four_bit: load the base in 4 bit (QLoRA; a GPU and bitsandbytes).
        compile: compile the layers first; pays in long runs.
        checkpoint_steps: steps between checkpoints.
        heldout_rows: held-out diagnoses tried at each checkpoint.
    """

    seed: int = 1
    steps: int = 1200
    rows: int = 16
    group_rows: int = 8
    rank: int = 16
    alpha: int = 32
    learning_rate: float = 1.5e-3
    warmup_steps: int = 30
    decay_share: float = 0.2
    explained_share: float = 0.4
    invented_share: float = 0.3
    sampled_vocabulary: int = 4096
    four_bit: bool = False
    compile: bool = False
    checkpoint_steps: int = 50
    heldout_rows: int = 64


def parse(table: Any) -> Tuning:
    """Read a profile's table.

    Raises:
        RecipeInvalid: an unknown name, or a value that is not of its default's type or not positive.
    """
    if not isinstance(table, dict):
        raise RecipeInvalid("The recipe's fine-tuning profile is no table.")
    defaults = Tuning()
    known = {field.name for field in fields(Tuning)}
    for name, value in table.items():
        if name not in known:
            raise RecipeInvalid(f"The recipe's fine-tuning profile has an unknown name: {name!r}.")
        wanted = type(getattr(defaults, name))
        fits = type(value) is wanted or (wanted is float and type(value) is int)
        if not fits or (not isinstance(value, bool) and value < 0):
            raise RecipeInvalid(f"The recipe's fine-tuning profile gives {name} no {wanted.__name__} from 0.")
    tuning = Tuning(**table)
    if min(tuning.steps, tuning.rows, tuning.group_rows, tuning.rank, tuning.alpha, tuning.checkpoint_steps) < 1:
        raise RecipeInvalid("The recipe's fine-tuning profile needs steps, rows, group_rows, rank, alpha from 1.")
    return tuning
