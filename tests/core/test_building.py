import pytest

from appliance.bundles import recipes
from appliance.core import building
from appliance.errors import ModelUnusable, RecipeInvalid

TEXT = """
name = "tiny"
version = "1.0.0"
[base]
title = "a base"
licence = "Apache-2.0"
[finetune.cpu]
steps = 3
[quantize.w8a8]
scheme = "W8A8"
min_host_bytes = 10
[quantize.fp8]
scheme = "FP8_DYNAMIC"
[evaluate]
items = 12
[evaluate.gate]
diagnosis = 0.6
[engine.cpu]
max_model_len_tokens = 2048
"""


@pytest.mark.parametrize("folder", sorted(path.name for path in recipes.FOLDER.iterdir() if path.is_dir()))
def test_every_recipe_of_the_project_reads(folder):
    read = building.parse((recipes.FOLDER / folder / "recipe.toml").read_text(encoding="utf-8"))
    assert read.quantizations
    assert read.name.lower() == folder


def test_recipe_says_profiles_quantizations_gate_and_engine():
    read = building.parse(TEXT)
    assert read.tuning("cpu").steps == 3
    assert read.quantization("").name == "w8a8"
    assert read.quantization("fp8").min_host_bytes == 0
    assert read.engine["cpu"].max_model_len_tokens == 2048
    assert not read.packaged


def test_score_below_the_gate_is_named_with_both_figures():
    exam = building.parse(TEXT).exam
    assert exam.shortfalls({"diagnosis": 0.6}) == []
    assert exam.shortfalls({"diagnosis": 0.59}) == ["diagnosis 59.0% is below 60.0%"]
    assert exam.shortfalls({}) == ["diagnosis 0.0% is below 60.0%"]


def test_profile_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(RecipeInvalid) as refused:
        building.parse(TEXT).tuning("gpu")
    assert "cpu" in refused.value.remedy


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('scheme = "W8A8"', 'scheme = "INT3"'),
        ("min_host_bytes = 10", "min_host_bytes = -1"),
        ("min_host_bytes = 10", "colour = 1"),
        ("min_host_bytes = 10", 'ignore = "lm_head"'),
        ("items = 12", "items = 0"),
        ("diagnosis = 0.6", "diagnosis = 60"),
        ("diagnosis = 0.6", "beauty = 0.5"),
        ("diagnosis = 0.6", 'diagnosis = "x"'),
        ('title = "a base"', 'title = ""'),
        ('title = "a base"', 'title = "a"\nsha256 = "12"'),
        ('name = "tiny"', 'name = "a b"'),
        ('version = "1.0.0"', "version = "),
        ("[finetune.cpu]\nsteps = 3", "[finetune]\ncpu = 3"),
    ],
)
def test_recipe_of_another_form_is_refused(old, new):
    assert old in TEXT
    with pytest.raises(RecipeInvalid):
        building.parse(TEXT.replace(old, new))


def test_recipe_without_quantization_is_refused():
    with pytest.raises(RecipeInvalid, match="quantize"):
        building.parse(TEXT.partition("[quantize")[0])


def test_engine_flag_that_a_model_may_not_change_is_refused():
    with pytest.raises(ModelUnusable):
        building.parse(TEXT + "trust_remote_code = true\n")


def test_llama_keeps_its_name_and_its_notice():
    llama = TEXT.replace("Apache-2.0", "LicenseRef-Llama-3.1-Community")
    notice = 'notice = "Llama 3.1 is licensed …, Copyright © Meta Platforms, Inc."\n'
    with pytest.raises(RecipeInvalid, match="begins with Llama"):
        building.parse(notice + llama)
    with pytest.raises(RecipeInvalid, match="notice"):
        building.parse(llama.replace('"tiny"', '"Llama-tiny"'))
    assert building.parse(notice + llama.replace('"tiny"', '"Llama-tiny"')).name == "Llama-tiny"
