"""Claims about ``bundles.prepare``: the embedded model goes the way of every bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.bundles import digests, installed, prepare, sign, verify
from appliance.bundles.trust import Trust
from appliance.core import trusted_key
from appliance.errors import BundleUntrusted, ConversionFailed, DigestMismatch, ModelUnusable, RecipeInvalid
from tests.bundles.conftest import pinned


def _make(shop, fault: str = "", recipe=None):
    return prepare.make(
        recipe or shop.recipe, shop.gguf(), shop.tree, folder=shop.folder, programs=shop.programs(fault)
    )


def _find(shop):
    return prepare.find(shop.recipe, shop.tree, shop.folder)


def _tuned(shop):
    """The shop's recipe with an adapter beside it."""
    adapter = shop.folder / "tiny-tutor" / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"tuned")
    (adapter / "provenance.json").write_text(json.dumps({"evaluation": {"diagnosis": 0.5}}))
    return replace(shop.recipe, adapter=pinned("adapter_model.safetensors", b"tuned"))


def test_nothing_is_found_before_and_a_whole_model_after(shop) -> None:
    before = _find(shop)
    directory = _make(shop)
    after = _find(shop)

    assert (before.whole, before.damage) == (False, "")
    assert after.whole
    assert after.directory == directory == shop.tree.state_dir / "bundles" / "tiny-tutor-1.0"


def test_it_is_signed_by_this_machine_and_no_other_machine_takes_it(shop, tmp_path) -> None:
    directory = _make(shop)
    trust = Trust.read(shop.tree.trusted_keys_dir)

    verified = verify.directory(directory, trust, 0.0)

    assert "this machine" in verified.key.owner
    assert (shop.tree.state_dir / "signing-key.pem").stat().st_mode & 0o777 == 0o600
    with pytest.raises(BundleUntrusted):
        verify.directory(directory, Trust.read(tmp_path / "of another machine"), 0.0)


def test_the_manifest_says_where_the_model_comes_from_and_what_it_reached(shop) -> None:
    directory = _make(shop, recipe=_tuned(shop))

    stated = digests.read_manifest(directory)
    assert (stated.name, stated.version, stated.base, stated.licence) == ("tiny-tutor", "1.0", "Tiny", "Apache-2.0")
    assert (stated.quantization, stated.min_host_bytes, dict(stated.evaluation)) == ("w8a8", 1000, {"diagnosis": 0.5})
    assert set(stated.files) == shop.names(directory) - {"bundle.toml", "bundle.sig"}
    assert "chat_template.jinja" in stated.files
    assert json.loads((directory / "config.json").read_text()) == {"adapters": ["tuned"]}
    components = json.loads((directory / stated.sbom).read_text())["components"]
    assert {part["name"] for part in components} == {"Tiny", "adapter"}


def test_questions_beside_the_adapter_come_along(shop) -> None:
    recipe = _tuned(shop)
    question = {
        "id": "one",
        "messages": [{"role": "user", "content": "1 + 1"}],
        "checks": [{"name": "contains", "value": "2"}],
    }
    text = json.dumps({"format": 1, "questions": [question]})
    (shop.folder / "tiny-tutor" / "adapter" / "golden.json").write_text(text)

    directory = _make(shop, recipe=recipe)

    assert digests.read_manifest(directory).golden == "golden.json"
    assert (directory / "golden.json").read_text() == text


def test_an_adapter_that_is_not_the_pinned_one_is_refused(shop) -> None:
    recipe = _tuned(shop)
    (shop.folder / "tiny-tutor" / "adapter" / "adapter_model.safetensors").write_bytes(b"TUNED")

    with pytest.raises(DigestMismatch, match="adapter"):
        _make(shop, recipe=recipe)


def test_an_adapter_without_its_provenance_is_refused(shop) -> None:
    recipe = _tuned(shop)
    (shop.folder / "tiny-tutor" / "adapter" / "provenance.json").unlink()

    with pytest.raises(RecipeInvalid):
        _make(shop, recipe=recipe)


def test_the_files_can_be_read_by_the_engines_user(shop) -> None:
    directory = _make(shop)

    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o644}
    assert directory.stat().st_mode & 0o777 == 0o755


def test_a_flipped_byte_is_noticed_and_mended(shop) -> None:
    directory = _make(shop)
    weights = directory / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)

    assert "model.safetensors" in _find(shop).damage
    _make(shop)
    assert _find(shop).whole


def test_a_model_by_another_recipe_is_not_taken_for_this_one(shop) -> None:
    _make(shop)
    path = shop.folder / "tiny-tutor" / "recipe.toml"
    path.write_text(path.read_text().replace("1000", "2000"))

    assert _find(shop).damage == "It was made by another recipe."
    directory = _make(shop)
    assert _find(shop).whole
    assert digests.read_manifest(directory).min_host_bytes == 2000


@pytest.mark.parametrize("fault", ["fail", "fail late"])
def test_a_failed_preparation_leaves_the_old_model_and_no_half_one(shop, fault: str) -> None:
    directory = _make(shop)

    with pytest.raises(ConversionFailed):
        _make(shop, fault)

    assert _find(shop).whole
    assert shop.names(directory.parent) == {directory.name, ".lock"}


def test_what_a_killed_run_left_is_removed(shop) -> None:
    left = shop.tree.state_dir / "bundles" / ".making-killed" / "new"
    left.mkdir(parents=True)

    directory = _make(shop)

    assert shop.names(directory.parent) == {directory.name, ".lock"}


def test_the_key_stays_as_long_as_it_is_trusted(shop) -> None:
    _make(shop)
    key = shop.tree.state_dir / "signing-key.pem"
    before = key.read_bytes()
    _make(shop)
    assert key.read_bytes() == before

    trusted = shop.tree.trusted_keys_dir / "this-machine.toml"
    known = trusted_key.parse(trusted.read_text(), "key")
    trusted.write_text(trusted_key.render(replace(known, not_after=datetime.now(UTC).date())))
    _make(shop)
    assert key.read_bytes() != before
    assert _find(shop).whole


def test_a_lost_trust_makes_the_model_anew(shop) -> None:
    _make(shop)
    (shop.tree.trusted_keys_dir / "this-machine.toml").unlink()

    assert not _find(shop).whole
    _make(shop)
    assert _find(shop).whole


def test_active_is_moved_in_one_step_and_survives_a_move_of_the_state_directory(shop) -> None:
    directory = _make(shop)
    active = shop.tree.state_dir / "active"
    active.symlink_to("bundles/older")

    prepare.activate(directory, shop.tree)

    assert active.readlink() == Path("bundles/tiny-tutor-1.0")
    assert installed.active(shop.tree) == directory.resolve()


def test_a_directory_named_active_is_not_overwritten(shop) -> None:
    directory = _make(shop)
    (shop.tree.state_dir / "active").mkdir()

    with pytest.raises(ModelUnusable):
        prepare.activate(directory, shop.tree)


def test_somebody_elses_bundle_of_that_name_is_replaced(shop, tmp_path) -> None:
    directory = _make(shop)
    other = tmp_path / "other.pem"
    sign.make_key(other)
    sign.directory(directory, other)

    assert not _find(shop).whole
    _make(shop)
    assert _find(shop).whole
