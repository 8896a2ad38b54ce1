"""Finds and reads the recipes of ``models/``."""

from __future__ import annotations

from pathlib import Path

import appliance
from appliance.core import recipe
from appliance.core.recipe import Recipe
from appliance.errors import RecipeInvalid

#: The model the demo serves.
EMBEDDED = "smollm2-135m-tutor"
#: The recipes stand beside the package in a checkout; they are no part of what is installed on a box.
FOLDER = Path(appliance.__file__).parent.parent / "models"
#: Beside a recipe: its trained adapter, where that came from with its scores, and the questions it must answer right.
ADAPTER_FOLDER = "adapter"


def read(name: str = EMBEDDED, folder: Path = FOLDER) -> Recipe:
    """The recipe of the model ``name``.

    Raises:
        RecipeInvalid: there is none, or it is not of the right form.
    """
    try:
        text = (folder / name / recipe.FILE_NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise RecipeInvalid(f"There is no recipe for {name} in {folder}.") from None
    return recipe.parse(text)
