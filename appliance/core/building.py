"""How a bundle is built: what a ``recipe.toml`` says beyond the pinned base (``core.recipe``).

::

    name = "llama-3.1-8b-tutor"
    version = "1.0.0"

    [base]
    title = "meta-llama/Llama-3.1-8B-Instruct"
    licence = "LicenseRef-Llama-3.1-Community"
    sha256 = ""                    # of a directory, as `bundle build` prints it; empty: the builder states it

    [finetune.gpu]                 # a profile a table, see core.tuning
    steps = 2400

    [quantize.fp8]
    scheme = "FP8_DYNAMIC"
    min_gpu_bytes = 24_000_000_000

    [evaluate]
    items = 480

    [evaluate.gate]                # least share of each score; a bundle below is not sealed
    diagnosis = 0.92

    [engine.cpu]                   # core.engine_arguments
    max_model_len_tokens = 2048
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.core import tuning
from appliance.core.engine_arguments import EngineArguments
from appliance.core.manifest import Manifest
from appliance.core.tuning import Tuning
from appliance.errors import RecipeInvalid

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LLAMA, _LLAMA_LICENCE = "Llama", "LicenseRef-Llama"
#: What llm-compressor is asked for.
SCHEMES = ("FP8_DYNAMIC", "W4A16", "W8A8")
#: Scores a gate may name (``tutor.scores.Group``).
GATED = ("correct_answer", "diagnosis", "diagnosis_json", "similar", "similar_json", "working")
_SEED = 7
_ITEMS = 240


@dataclass(frozen=True)
class Quantization:
    """One way to store the weights.

    Args:
        name: such as ``w8a8``, as the bundle states it.
        scheme: one of :data:`SCHEMES`.
        ignore: modules left as they are.
        calibration_rows: samples of the corpus that are looked at; W4A16 needs them.
        min_host_bytes: least host memory to serve it on a CPU; 0 if it is not for CPUs.
        min_gpu_bytes: least GPU memory to serve it; 0 if it is not for GPUs.
    """

    name: str
    scheme: str
    ignore: tuple[str, ...] = ("lm_head",)
    calibration_rows: int = 0
    min_host_bytes: int = 0
    min_gpu_bytes: int = 0


@dataclass(frozen=True)
class Exam:
    """What the models are asked at the end.

    Args:
        items: held-out samples.
        seed: of them.
        gate: score's name to the least share that a bundle must reach.
    """

    items: int = _ITEMS
    seed: int = _SEED
    gate: Mapping[str, float] = field(default_factory=dict)

    def shortfalls(self, reached: Mapping[str, float]) -> list[str]:
        """Which scores are below the gate, each as a phrase."""
        return [
            f"{name} {reached.get(name, 0.0):.1%} is below {least:.1%}"
            for name, least in self.gate.items()
            if reached.get(name, 0.0) < least
        ]


@dataclass(frozen=True)
class Building:
    """A checked recipe, as the builder reads it.

    Args:
        name: of the model.
        version: of the bundle.
        base: title of the base model.
        licence: SPDX expression of the weights; ``LicenseRef-Llama-…`` for Meta's.
        packaged: whether the base comes out of a pinned package (``core.recipe``); else from a directory.
        base_sha256: digest of the base's directory; empty if the builder states it.
        notice: text for the bundle's NOTICE; empty for none.
        profiles: fine-tuning profiles by name; none: the base is bundled as it is.
        quantizations: by name.
        exam: the evaluation.
        engine: hardware profile to what this model changes in it.
    """

    name: str
    version: str
    base: str
    licence: str
    packaged: bool
    base_sha256: str
    notice: str
    profiles: Mapping[str, Tuning]
    quantizations: Mapping[str, Quantization]
    exam: Exam
    engine: Mapping[str, EngineArguments]

    def __post_init__(self) -> None:
        """Hold a Llama to its licence's naming and notice (docs/licences.md)."""
        if not self.licence.startswith(_LLAMA_LICENCE):
            return
        if not self.name.startswith(_LLAMA) or "Meta Platforms" not in self.notice:
            raise RecipeInvalid(
                f"The recipe's licence {self.licence} wants a name that begins with {_LLAMA}, and Meta's notice.",
                remedy="docs/licences.md has both.",
            )

    def manifest(self, quantization: Quantization, recipe_sha256: str, evaluation: Mapping[str, float]) -> Manifest:
        """What a bundle of this recipe states, but for its files.

        Args:
            quantization: how its weights are stored.
            recipe_sha256: digest of the recipe's file.
            evaluation: score's name to share.
        """
        return Manifest(
            name=self.name,
            version=self.version,
            base=self.base,
            licence=self.licence,
            quantization=quantization.name,
            recipe_sha256=recipe_sha256,
            min_host_bytes=quantization.min_host_bytes,
            min_gpu_bytes=quantization.min_gpu_bytes,
            engine=self.engine,
            evaluation=dict(evaluation),
        )

    def tuning(self, profile: str) -> Tuning:
        """A profile; raises RecipeInvalid with the names there are."""
        _require(self.profiles, profile, "fine-tuning profile")
        return self.profiles[profile]

    def quantization(self, name: str) -> Quantization:
        """A quantization; the first if ``name`` is empty; raises RecipeInvalid with the names there are."""
        name = name or next(iter(self.quantizations))
        _require(self.quantizations, name, "quantization")
        return self.quantizations[name]


def parse(text: str) -> Building:
    """Read the text of a ``recipe.toml``.

    Raises:
        RecipeInvalid: not TOML, a missing or unknown name, or a value of the wrong form.
        ModelUnusable: an ``[engine]`` table is refused.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise RecipeInvalid(f"The recipe is not valid TOML: {err}.") from None
    base = _table(document, "base")
    quantize = _table(document, "quantize")
    if not quantize:
        raise RecipeInvalid("The recipe has no table [quantize.<name>].")
    digest = base.get("sha256", "")
    if digest != "" and not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise RecipeInvalid("The recipe's base.sha256 is no SHA-256.")
    return Building(
        name=_text(document, "name", _NAME),
        version=_text(document, "version", _NAME),
        base=_text(base, "title"),
        licence=_text(base, "licence"),
        packaged=isinstance(base.get("package"), dict),
        base_sha256=digest,
        notice=str(document.get("notice", "")),
        profiles={name: tuning.parse(table) for name, table in _table(document, "finetune").items()},
        quantizations={name: _quantization(name, table) for name, table in quantize.items()},
        exam=_exam(_table(document, "evaluate")),
        engine={name: EngineArguments.parse(name, table) for name, table in _table(document, "engine").items()},
    )


def _quantization(name: str, table: Any) -> Quantization:
    if not isinstance(table, dict) or table.get("scheme") not in SCHEMES:
        raise RecipeInvalid(f"The recipe's quantization {name} needs a scheme: {', '.join(SCHEMES)}.")
    sizes = {key: table.get(key, 0) for key in ("calibration_rows", "min_host_bytes", "min_gpu_bytes")}
    ignore = table.get("ignore", ["lm_head"])
    unknown = sorted(set(table) - {"scheme", "ignore", *sizes})
    if unknown:
        raise RecipeInvalid(f"The recipe's quantization {name} has an unknown name: {unknown[0]!r}.")
    if any(type(value) is not int or value < 0 for value in sizes.values()):
        raise RecipeInvalid(f"The recipe's quantization {name} has a size that is no whole number from 0.")
    if not isinstance(ignore, list) or not all(isinstance(one, str) for one in ignore):
        raise RecipeInvalid(f"The recipe's quantization {name} has an ignore that is no list of names.")
    return Quantization(name, table["scheme"], tuple(ignore), **sizes)


def _exam(table: Mapping[str, Any]) -> Exam:
    items, seed, gate = table.get("items", _ITEMS), table.get("seed", _SEED), table.get("gate", {})
    if type(items) is not int or items < 1 or type(seed) is not int:
        raise RecipeInvalid("The recipe's [evaluate] needs whole numbers: items from 1, seed.")
    for name, least in gate.items():
        if name not in GATED or type(least) not in (int, float) or not 0 <= least <= 1:
            raise RecipeInvalid(f"The recipe's gate {name!r} must be one of {', '.join(GATED)} with a share of 0 to 1.")
    return Exam(items, seed, gate)


def _require(named: Mapping[str, Any], name: str, what: str) -> None:
    if name not in named:
        raise RecipeInvalid(
            f"The recipe has no {what} {name!r}.", remedy=f"It has: {', '.join(sorted(named)) or 'none'}."
        )


def _table(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = parent.get(name, {})
    if not isinstance(table, dict):
        raise RecipeInvalid(f"The recipe's {name} is no table.")
    return table


def _text(table: Mapping[str, Any], name: str, form: re.Pattern[str] | None = None) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value or not value.isprintable() or (form and not form.fullmatch(value)):
        raise RecipeInvalid(f"The recipe's {name} is missing or not of the right form.")
    return value
