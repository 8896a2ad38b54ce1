"""The manifest of a model directory: read back what was written, refuse what can carry code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core import manifest
from appliance.core.engine_arguments import EngineArguments
from appliance.core.manifest import Listed, Manifest
from appliance.errors import BundleTooNew, ModelUnusable

SHA = "0123456789abcdef" * 4
DIGEST = Listed(SHA, 12)


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
        {"format": 0},
        {"format": True},
        {"name": ""},
        {"name": "a/b"},
        {"name": "a\nb"},
        {"version": 1},
        {"base": "two\nlines"},
        {"files": {"config.json": Listed("ABC", 1)}},
        {"files": {"config.json": Listed(3, 1)}},
        {"files": {"config.json": Listed(SHA, -1)}},
        {"files": {"config.json": Listed(SHA, True)}},
        {"recipe_sha256": "abc"},
        {"min_gpu_bytes": -1},
        {"min_host_bytes": 1.5},
        {"quantization": "two\nlines"},
        {"sbom": "not-listed.json"},
        {"golden": 3},
        {"evaluation": {"a": float("nan")}},
        {"evaluation": {"a": True}},
        {"evaluation": {"a b": 1}},
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


def whole(**changes):
    """A manifest that states everything."""
    files = dict.fromkeys(
        ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "sbom.cdx.json", "golden.json"],
        DIGEST,
    )
    values = {
        "quantization": "w8a8",
        "recipe_sha256": SHA,
        "min_host_bytes": 3 * 10**9,
        "min_gpu_bytes": 2**31,
        "sbom": "sbom.cdx.json",
        "golden": "golden.json",
        "engine": {
            "cpu": EngineArguments(max_model_len_tokens=2048, enforce_eager=True),
            "gpu-24gb": EngineArguments(),
        },
        "evaluation": {"diagnosis.accuracy": 0.934, "samples": 2000},
        "files": files,
    }
    return example(**{**values, **changes})


def test_everything_stated_reads_back_equal():
    assert manifest.parse(manifest.render(whole())) == whole()
    assert whole().missing() == []


def test_what_a_signed_bundle_must_state_is_named():
    assert whole(licence="", min_host_bytes=0, min_gpu_bytes=0).missing() == [
        "bundle.licence",
        "bundle.min_host_bytes or bundle.min_gpu_bytes",
    ]
    assert "a .safetensors file" in example(files={}).missing()


def test_bundle_of_a_future_format_says_so_whatever_else_it_holds():
    with pytest.raises(BundleTooNew, match="format 2"):
        manifest.parse("format = 2\n[something]\nnew = 1\n")


def test_engine_argument_that_is_not_allowed_is_refused():
    text = manifest.render(whole()).replace("max_model_len_tokens", "trust_remote_code")
    with pytest.raises(ModelUnusable, match="trust_remote_code"):
        manifest.parse(text)


@pytest.mark.parametrize("entry", ['"abc"', "{}", '{ sha256 = "x" }', "3"])
def test_file_without_digest_and_size_is_refused(entry):
    with pytest.raises(ModelUnusable, match=r"config\.json"):
        manifest.parse(f"format = 1\n[bundle]\nname = 'a'\nversion = '1'\n[files]\n'config.json' = {entry}\n")


def test_size_and_directory_of_a_bundle():
    assert whole().size_bytes == 6 * 12
    assert whole().directory_name == "smollm2-135m-instruct-0.1.2"
