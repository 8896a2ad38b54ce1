"""A model directory is checked before anything that could run code from it opens it."""

from __future__ import annotations

import os

import pytest

from appliance.engine import model
from appliance.errors import DigestMismatch, ModelUnusable
from tests.engine import bundle


def test_good_directory_says_what_it_holds(tmp_path):
    found = model.read(bundle.make(tmp_path / "m"))
    assert (found.name, found.version, found.architecture) == ("tutor", "1.0", "LlamaForCausalLM")
    assert (found.context_tokens, found.weight_bytes) == (8192, 10)
    assert found.chat_template == tmp_path / "m" / "chat_template.jinja"
    assert found.tool_parser is None


def test_link_to_the_active_bundle_is_resolved_once(tmp_path):
    bundle.make(tmp_path / "bundles" / "one")
    (tmp_path / "active").symlink_to("bundles/one")
    assert model.read(tmp_path / "active").directory == tmp_path / "bundles" / "one"


def test_setting_overrides_the_served_name(tmp_path):
    assert model.read(bundle.make(tmp_path / "m"), "llama").name == "llama"


def test_missing_directory_is_named(tmp_path):
    with pytest.raises(ModelUnusable, match="no model directory"):
        model.read(tmp_path / "none")


@pytest.mark.parametrize("name", ["modeling.py", "pytorch_model.bin", "weights.pt", "data.pkl", ".hidden.json"])
def test_file_that_can_carry_code_is_refused(tmp_path, name):
    directory = bundle.make(tmp_path / "m")
    (directory / name).write_bytes(b"")
    with pytest.raises(ModelUnusable, match="refused file"):
        model.read(directory)


def test_file_in_a_folder_is_seen_too(tmp_path):
    directory = bundle.make(tmp_path / "m")
    (directory / "sub").mkdir()
    (directory / "sub" / "code.py").touch()
    with pytest.raises(ModelUnusable, match=r"sub/code\.py"):
        model.read(directory)


def test_unlisted_file_is_refused(tmp_path):
    directory = bundle.make(tmp_path / "m")
    (directory / "extra.json").write_text("{}")
    with pytest.raises(ModelUnusable, match="does not list"):
        model.read(directory)


def test_missing_file_is_refused(tmp_path):
    directory = bundle.make(tmp_path / "m")
    (directory / "tokenizer.json").unlink()
    with pytest.raises(ModelUnusable, match="lacks a file"):
        model.read(directory)


def test_changed_weights_are_noticed(tmp_path):
    directory = bundle.make(tmp_path / "m")
    (directory / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0[]")
    with pytest.raises(DigestMismatch, match=r"model\.safetensors"):
        model.read(directory)


@pytest.mark.parametrize("kind", ["link", "link to folder", "pipe"])
def test_anything_but_plain_files_is_refused(tmp_path, kind):
    directory = bundle.make(tmp_path / "m")
    if kind == "link":
        (directory / "more.json").symlink_to("/etc/hostname")
    elif kind == "link to folder":
        (directory / "more").symlink_to("/etc")
    else:
        os.mkfifo(directory / "more.json")
    with pytest.raises(ModelUnusable, match="no plain file"):
        model.read(directory)


@pytest.mark.parametrize("name", ["config__json", "tokenizer_config__json"])
def test_auto_map_in_any_json_file_is_refused(tmp_path, name):
    content = {**bundle.CONFIG, "inner": [{"auto_map": {"AutoModel": "evil.Model"}}]}
    with pytest.raises(ModelUnusable, match=r"inner\[0\]\.auto_map"):
        model.read(bundle.make(tmp_path / "m", **{name: content}))


@pytest.mark.parametrize(
    "config",
    [
        {"max_position_embeddings": 8192},
        {"architectures": ["EvilForCausalLM"], "max_position_embeddings": 8192},
        {"architectures": ["LlamaForCausalLM", "EvilForCausalLM"], "max_position_embeddings": 8192},
        {"architectures": ["LlamaForCausalLM"]},
        [],
    ],
)
def test_config_that_says_too_little_or_too_much_is_refused(tmp_path, config):
    with pytest.raises(ModelUnusable):
        model.read(bundle.make(tmp_path / "m", config__json=config))


@pytest.mark.parametrize("missing", ["config__json", "model__safetensors", "chat_template__jinja"])
def test_directory_without_an_essential_file_is_refused(tmp_path, missing):
    with pytest.raises(ModelUnusable):
        model.read(bundle.make(tmp_path / "m", **{missing: None}))


def test_directory_without_manifest_is_refused(tmp_path):
    directory = bundle.make(tmp_path / "m")
    (directory / "bundle.toml").unlink()
    with pytest.raises(ModelUnusable, match=r"bundle\.toml"):
        model.read(directory)


def test_broken_json_is_refused_without_a_traceback(tmp_path):
    with pytest.raises(ModelUnusable, match="not readable JSON"):
        model.read(bundle.make(tmp_path / "m", tokenizer__json="[" * 100_000))


def test_template_in_the_tokenizer_configuration_will_do(tmp_path):
    content = {"chat_template": bundle.LLAMA_3_TEMPLATE}
    found = model.read(bundle.make(tmp_path / "m", chat_template__jinja=None, tokenizer_config__json=content))
    assert (found.chat_template, found.tool_parser) == (None, "llama3_json")


@pytest.mark.parametrize(
    ("template", "parser"),
    [
        (bundle.LLAMA_3_TEMPLATE, "llama3_json"),
        ("{% if tools %}<tool_call>{% endif %}", "hermes"),
        ("{% if tools %}{{ tools }}{% endif %}", None),
        ("{{ messages }}", None),
    ],
)
def test_tool_parser_follows_the_template(template, parser):
    assert model.tool_parser(template) == parser
