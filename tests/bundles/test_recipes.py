"""Claims about ``bundles.recipes``."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.bundles import recipes
from appliance.errors import RecipeInvalid


def test_the_embedded_models_recipe_is_in_the_repository_and_names_it() -> None:
    assert recipes.read().name == recipes.EMBEDDED


def test_a_missing_recipe_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match="no recipe for other") as failure:
        recipes.read("other", tmp_path)

    assert str(tmp_path) in failure.value.message
