"""Packing: the same inputs give the same bytes."""

from __future__ import annotations

import os
import tarfile

import pytest

from appliance.bundles import digests, pack
from appliance.errors import ModelUnusable
from tests.bundles import signed


@pytest.fixture
def key(tmp_path):
    return signed.make_key(tmp_path)


def test_same_files_and_statements_give_the_same_bytes(tmp_path, key):
    one, other = signed.fill(tmp_path / "one"), signed.fill(tmp_path / "two" / "three")
    for path in other.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    packed = [
        pack.archive(signed.seal(bundle, key), tmp_path / f"{number}.bundle")
        for number, bundle in enumerate((one, other))
    ]
    assert packed[0].read_bytes() == packed[1].read_bytes()


def test_packed_file_says_what_it_is_before_the_weights_and_nothing_of_its_maker(tmp_path, key):
    packed = pack.archive(signed.make(tmp_path / "b", key), tmp_path)
    assert packed.name == "tiny-tutor-1.0.0.bundle"
    with tarfile.open(packed) as tar:
        members = tar.getmembers()
    assert [member.name for member in members[:2]] == ["bundle.toml", "bundle.sig"]
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname, member.mode) for member in members} == {
        (0, 0, 0, "", "", 0o644)
    }


def test_progress_comes_to_the_whole(tmp_path, key):
    seen = []
    pack.archive(signed.make(tmp_path / "b", key), tmp_path, lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0


def test_golden_questions_and_components_are_found_and_stated(tmp_path):
    sealed = pack.seal(signed.fill(tmp_path / "b"), signed.stated(), [pack.Component("data", "corpus", "7")])
    assert (sealed.golden, sealed.sbom) == ("golden.json", "sbom.cdx.json")
    assert digests.read_manifest(tmp_path / "b") == sealed


def test_directory_with_a_refused_file_is_not_sealed(tmp_path):
    with pytest.raises(ModelUnusable, match=r"model\.py"):
        signed.seal(signed.fill(tmp_path / "b", model__py="x"), None)
    assert not (tmp_path / "b" / "bundle.toml").exists()


def test_directory_with_a_link_is_not_sealed(tmp_path):
    bundle = signed.fill(tmp_path / "b")
    (bundle / "a.json").symlink_to("/etc/hostname")
    with pytest.raises(ModelUnusable, match="link"):
        signed.seal(bundle, None)


@pytest.mark.parametrize("changes", [{"licence": ""}, {"version": "latest"}])
def test_statement_that_no_box_would_take_is_not_sealed(tmp_path, changes):
    with pytest.raises(ModelUnusable):
        signed.seal(signed.fill(tmp_path / "b"), None, **changes)


def test_bundle_that_is_not_signed_is_not_packed(tmp_path):
    with pytest.raises(ModelUnusable, match="not signed"):
        pack.archive(signed.make(tmp_path / "b", None), tmp_path)
