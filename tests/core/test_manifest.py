"""The manifest of a model directory: read back what was written, refuse what can carry code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core import manifest
from appliance.core.manifest import Manifest
from appliance.errors import ModelUnusable

DIGEST = "0123456789abcdef" * 4


def example(**changes):
    values = {
        "name": "smollm2-135m-instruct",
        "version": "0.1.2",
        "base": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "licence": "Apache-2.0",
        "files": {"model.safetensors": DIGEST, "config.json": DIGEST},
    }
    return Manifest(**{**values, **changes})


def test_rendered_manifest_reads_back_equal():
    assert manifest.parse(manifest.render(example())) == example()


@given(
    st.text(
        alphabet=st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=200
    )
)
def test_any_line_of_text_survives_the_round_trip(base):
    assert manifest.parse(manifest.render(example(base=base))).base == base


def test_files_are_written_in_one_order_whatever_the_dictionary_says():
    turned = example(files={"config.json": DIGEST, "model.safetensors": DIGEST})
    assert manifest.render(turned) == manifest.render(example())


@pytest.mark.parametrize(
    "name",
    [
        "modeling_evil.py",
        "pytorch_model.bin",
        "weights.pt",
        "weights.pth",
        "data.pkl",
        "model.gguf",
        "lib.so",
        "model.safetensors.py",
        "../config.json",
        "/etc/passwd.json",
        "a//b.json",
        "a\\b.json",
        ".hidden.json",
        "sub/../config.json",
        "new\nline.json",
        "",
        "bundle.toml",
        "bundle.sig",
    ],
)
def test_file_that_is_not_plain_data_is_refused(name):
    assert len(manifest.problems([name])) == 1
    with pytest.raises(ModelUnusable):
        example(files={name: DIGEST})


def test_files_of_a_real_llama_are_accepted():
    names = [
        "config.json",
        "generation_config.json",
        "model-00001-of-00004.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "chat_template.jinja",
        "LICENSE",
        "README.md",
        "sbom/cyclonedx.json",
    ]
    assert manifest.problems(names) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"format": True},
        {"name": ""},
        {"name": "a/b"},
        {"name": "a\nb"},
        {"version": 1},
        {"base": "two\nlines"},
        {"files": {"config.json": "ABC"}},
        {"files": {"config.json": 3}},
    ],
)
def test_value_out_of_its_form_is_refused(changes):
    with pytest.raises(ModelUnusable):
        example(**changes)


@pytest.mark.parametrize(
    "text",
    [
        "not toml =",
        "",
        "format = 1\n[bundle]\nname = 'a'\nversion = '1'\n",
        "format = 1\n[files]\n[bundle]\nname = 'a'\n",
        "format = 1\nextra = 1\n[files]\n[bundle]\nname = 'a'\nversion = '1'\n",
        "format = 1\n[files]\n[bundle]\nname = 'a'\nversion = '1'\nauto_map = 'x'\n",
        "[files]\n[bundle]\nname = 'a'\nversion = '1'\n",
    ],
)
def test_text_that_is_no_manifest_is_refused(text):
    with pytest.raises(ModelUnusable):
        manifest.parse(text)


def test_code_reference_is_found_at_any_depth():
    document = {"a": [{"auto_map": {}}], "custom_pipelines": {}, "b": {"c": {"trust_remote_code": True}}, "d": 1}
    assert list(manifest.code_references(document)) == ["a[0].auto_map", "custom_pipelines", "b.c.trust_remote_code"]
