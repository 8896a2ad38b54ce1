"""Claims about ``bundles.digests``."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from appliance.bundles import digests
from appliance.core import manifest
from appliance.core.manifest import Listed, Manifest
from appliance.core.recipe import Pinned
from appliance.errors import ModelUnusable


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "sub" / "model.safetensors").write_bytes(b"weights")
    stated = Manifest(name="tiny", version="1", files=digests.of_directory(tmp_path))
    (tmp_path / manifest.FILE_NAME).write_text(manifest.render(stated))
    return tmp_path


def test_every_file_below_is_listed_but_the_manifest(model: Path) -> None:
    assert digests.of_directory(model) == {
        "config.json": Listed(hashlib.sha256(b"{}").hexdigest(), 2),
        "sub/model.safetensors": Listed(hashlib.sha256(b"weights").hexdigest(), 7),
    }


def test_an_untouched_model_has_no_damage(model: Path) -> None:
    assert digests.damage(model) == ""


def test_each_kind_of_damage_is_named(model: Path) -> None:
    weights = model / "sub" / "model.safetensors"
    weights.write_bytes(b"Weights")
    assert digests.damage(model) == "holds a changed sub/model.safetensors"
    weights.unlink()
    assert digests.damage(model) == "lacks sub/model.safetensors"
    weights.write_bytes(b"weights")
    (model / "added.py").touch()
    assert digests.damage(model) == "holds added.py, which its bundle.toml does not list"
    (model / manifest.FILE_NAME).write_text("nonsense")
    assert digests.damage(model) == "has no valid bundle.toml"


def test_a_directory_without_a_manifest_is_not_usable(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable):
        digests.read_manifest(tmp_path)


@pytest.mark.parametrize(("content", "right"), [(b"abc", True), (b"abd", False), (b"abcd", False)])
def test_a_pinned_file_is_the_same_to_the_byte(tmp_path: Path, content: bytes, right: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert digests.is_pinned(path, Pinned("file", hashlib.sha256(b"abc").hexdigest(), 3)) is right


def test_a_missing_file_is_not_the_pinned_one(tmp_path: Path) -> None:
    assert not digests.is_pinned(tmp_path / "none", Pinned("none", "0" * 64, 0))


def test_the_silent_report_takes_any_count() -> None:
    assert digests.silent(1, 2) is None
