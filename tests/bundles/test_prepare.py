"""Claims about ``bundles.prepare``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.bundles import digests, prepare
from appliance.errors import ConversionFailed, ModelUnusable


def _make(shop, fault: str = ""):
    return prepare.make(shop.recipe, shop.gguf(), shop.tree, converter=shop.converter(fault))


def test_nothing_is_found_before_and_a_whole_model_after(shop) -> None:
    before = prepare.find(shop.recipe, shop.tree)
    directory = _make(shop)
    after = prepare.find(shop.recipe, shop.tree)

    assert (before.whole, before.damage) == (False, "")
    assert after.whole
    assert after.directory == directory == shop.tree.state_dir / "bundles" / "tiny-tutor-1.0"


def test_the_manifest_says_where_the_model_comes_from_and_lists_every_file(shop) -> None:
    directory = _make(shop)

    stated = digests.read_manifest(directory)
    assert (stated.name, stated.version, stated.base, stated.licence) == ("tiny-tutor", "1.0", "Tiny", "Apache-2.0")
    assert set(stated.files) == shop.names(directory) - {"bundle.toml"}
    assert "chat_template.jinja" in stated.files


def test_the_files_can_be_read_by_the_engines_user(shop) -> None:
    directory = _make(shop)

    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o644}
    assert directory.stat().st_mode & 0o777 == 0o755


def test_a_flipped_byte_is_noticed_and_mended(shop) -> None:
    directory = _make(shop)
    weights = directory / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[3] ^= 1
    weights.write_bytes(content)

    assert prepare.find(shop.recipe, shop.tree).damage == "holds a changed model.safetensors"
    _make(shop)
    assert prepare.find(shop.recipe, shop.tree).whole


def test_a_model_by_another_recipe_is_not_taken_for_this_one(shop) -> None:
    _make(shop)
    newer = replace(shop.recipe, converted=replace(shop.recipe.converted, sha256="0" * 64))

    assert prepare.find(newer, shop.tree).damage == "was made by another recipe"


def test_a_failed_preparation_leaves_the_old_model_and_no_half_one(shop) -> None:
    directory = _make(shop)

    with pytest.raises(ConversionFailed):
        _make(shop, "fail")

    assert prepare.find(shop.recipe, shop.tree).whole
    assert shop.names(directory.parent) == {directory.name}


def test_what_a_killed_run_left_is_removed(shop) -> None:
    left = shop.tree.state_dir / "bundles" / ".making-killed" / "new"
    left.mkdir(parents=True)

    directory = _make(shop)

    assert shop.names(directory.parent) == {directory.name}


def test_active_is_moved_in_one_step_and_survives_a_move_of_the_state_directory(shop) -> None:
    directory = _make(shop)
    active = shop.tree.state_dir / "active"
    active.symlink_to("bundles/older")

    prepare.activate(directory, shop.tree)

    assert active.readlink() == Path("bundles/tiny-tutor-1.0")
    assert active.resolve() == directory.resolve()
    assert not (shop.tree.state_dir / ".active-new").is_symlink()


def test_a_directory_named_active_is_not_overwritten(shop) -> None:
    directory = _make(shop)
    (shop.tree.state_dir / "active").mkdir()

    with pytest.raises(ModelUnusable):
        prepare.activate(directory, shop.tree)
