"""Makes a model directory once, whole or not at all, and points the engine at it.

A directory is filled under a temporary name and renamed when it is complete,
so what bears its final name was finished. Digests are checked at every start
all the same: disks flip bytes and people edit files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.bundles import convert, digests
from appliance.core import manifest
from appliance.core.manifest import Manifest
from appliance.core.recipe import Recipe
from appliance.errors import ModelUnusable
from appliance.settings import Settings

_MAKING_PREFIX = ".making-"
_READABLE = 0o644  # the engine's user is not the one who prepared it


@dataclass(frozen=True)
class Found:
    """What stands where the prepared model belongs.

    Args:
        directory: its place.
        whole: whether it can be used as it is.
        damage: why it cannot, as a phrase after "the model"; empty if there is none at all.
    """

    directory: Path
    whole: bool
    damage: str = ""


def find(recipe: Recipe, settings: Settings) -> Found:
    """Look for the prepared model and check every byte of it (0.3 s for 270 MB)."""
    directory = settings.state_dir.absolute() / "bundles" / f"{recipe.name}-{recipe.version}"
    if not directory.is_dir():
        return Found(directory, whole=False)
    damage = digests.damage(directory)
    if not damage and not _follows(digests.read_manifest(directory), recipe):
        damage = "was made by another recipe"
    return Found(directory, whole=not damage, damage=damage)


def make(
    recipe: Recipe,
    source: Path,
    settings: Settings,
    tick: Callable[[], None] = lambda: None,
    converter: Sequence[str] = convert.CONVERTER,
) -> Path:
    """Convert ``source`` into the model's directory, in place of whatever stood there.

    Raises:
        ConversionFailed, NotEnoughMemory, DigestMismatch: see :func:`convert.to_safetensors`.
    """
    directory = find(recipe, settings).directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    discard_unfinished(settings)
    making = Path(tempfile.mkdtemp(prefix=_MAKING_PREFIX, dir=directory.parent))
    try:
        filled, replaced = making / "new", making / "old"
        convert.to_safetensors(recipe, source, filled, settings, tick, converter)
        _seal(filled, recipe)
        if directory.exists():
            directory.rename(replaced)
        filled.rename(directory)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return directory


def activate(directory: Path, settings: Settings) -> None:
    """Point ``<state_dir>/active`` at ``directory`` in one step: a reader sees the old or the new, never neither.

    Raises:
        ModelUnusable: something that is no symbolic link stands at ``active``.
    """
    active = settings.state_dir.absolute() / "active"
    if active.exists() and not active.is_symlink():
        raise ModelUnusable(
            f"{active} is not the symbolic link it should be.", remedy="Move it away and run the same command again."
        )
    fresh = active.with_name(".active-new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(directory, active.parent))
    fresh.replace(active)


def discard_unfinished(settings: Settings) -> None:
    """Remove what an interrupted run left. Only the holder of the state directory's lock may call this."""
    for left in (settings.state_dir / "bundles").glob(f"{_MAKING_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


def _seal(directory: Path, recipe: Recipe) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            path.chmod(_READABLE)
    directory.chmod(0o755)
    stated = Manifest(
        name=recipe.name,
        version=recipe.version,
        base=recipe.base,
        licence=recipe.licence,
        files=digests.of_directory(directory),
    )
    (directory / manifest.FILE_NAME).write_text(manifest.render(stated), encoding="utf-8")


def _follows(stated: Manifest, recipe: Recipe) -> bool:
    weights = stated.files.get(recipe.converted.path)
    return (stated.name, stated.version, weights.sha256 if weights else "") == (
        recipe.name,
        recipe.version,
        recipe.converted.sha256,
    )
