"""Installing: whole and verified under its name, or not at all."""

from __future__ import annotations

import os
import random
import shutil
import signal
from datetime import date

import pytest

from appliance.bundles import install, installed, pack, source, verify
from appliance.core import manifest
from appliance.errors import (
    BundleExists,
    BundleOlder,
    BundleUntrusted,
    ModelUnusable,
    NotEnoughDisk,
    StateUnusable,
)
from tests.bundles import box, signed
from tests.bundles.signed import NOW


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return signed.make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def state(tmp_path, key):
    key.write(tmp_path / "state" / "trust")
    return tmp_path / "state"


@pytest.fixture
def bundle(tmp_path, key):
    return signed.make(tmp_path / "usb" / "tutor", key)


def names(state):
    return sorted(path.name for path in (state / "bundles").iterdir() if path.name != ".lock")


def test_installed_bundle_is_readable_by_the_engine_and_verified_where_it_is(state, bundle, key):
    outcome = box.put(state, bundle)
    assert not outcome.was_there
    assert outcome.bundle.directory == state / "bundles" / "tiny-tutor-1.0.0"
    assert verify.directory(outcome.bundle.directory, key.trusted(), NOW)
    assert {path.stat().st_mode & 0o777 for path in outcome.bundle.directory.iterdir()} == {0o644}
    assert names(state) == ["tiny-tutor-1.0.0"]


def test_packed_bundle_is_installed_from_its_file_and_from_the_stick_it_is_alone_on(state, bundle, tmp_path):
    stick = tmp_path / "stick"
    stick.mkdir()
    packed = pack.archive(bundle, stick)
    assert not box.put(state, packed).was_there
    assert box.put(state, stick).was_there


def test_second_install_changes_nothing(state, bundle):
    box.put(state, bundle)
    before = {path: path.stat().st_mtime_ns for path in (state / "bundles").rglob("*")}
    assert box.put(state, bundle).was_there
    after = {path: path.stat().st_mtime_ns for path in (state / "bundles").rglob("*") if path.name != ".lock"}
    assert after.items() <= before.items()


def test_damaged_installed_bundle_is_mended_by_installing_it_again(state, bundle, key):
    there = box.put(state, bundle).bundle.directory
    installed.activate(box.tree(state), there)
    (there / "model.safetensors").write_bytes(b"rot")
    assert not box.put(state, bundle).was_there
    assert verify.directory(there, key.trusted(), NOW)
    assert names(state) == ["tiny-tutor-1.0.0"]


def test_same_version_with_other_content_is_refused(state, bundle, key, tmp_path):
    box.put(state, bundle)
    other = signed.seal(signed.fill(tmp_path / "other", LICENSE="MIT\n"), key)
    with pytest.raises(BundleExists):
        box.put(state, other)


def test_downgrade_needs_to_be_allowed(state, bundle, key, tmp_path):
    box.put(state, signed.make(tmp_path / "new", key, version="1.10.0"))
    for version in ("1.9.9", "1.10.0-rc.1"):
        older = signed.make(tmp_path / version, key, version=version)
        with pytest.raises(BundleOlder, match=r"1\.10\.0 is installed"):
            box.put(state, older)
        assert not box.put(state, older, allow_downgrade=True).was_there
    assert not box.put(state, signed.make(tmp_path / "else", key, name="another", version="0.1")).was_there


def test_bundle_that_does_not_verify_leaves_nothing_behind(state, bundle):
    (bundle / "model.safetensors").write_bytes(signed.safetensors(bytes(64)))
    with pytest.raises(BundleUntrusted, match=r"model\.safetensors"):
        box.put(state, bundle)
    assert names(state) == []


def test_file_that_was_not_signed_is_refused_and_not_left_out(state, bundle):
    (bundle / "extra.json").write_text("{}")
    with pytest.raises(BundleUntrusted, match=r"extra\.json"):
        box.put(state, bundle)


def test_bundle_of_an_unknown_or_expired_key_is_refused_before_anything_is_copied(state, bundle, key, tmp_path):
    key.write(state / "trust", not_after=date(2026, 5, 27))
    with pytest.raises(BundleUntrusted, match="expired"):
        box.put(state, bundle)
    with pytest.raises(BundleUntrusted, match="does not trust"):
        box.put(state, signed.make(tmp_path / "other", signed.make_key(tmp_path / "k")))
    assert names(state) == []


def test_full_disk_is_said_before_anything_is_copied(state, bundle, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=install.SPARE_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NotEnoughDisk, match="MiB more"):
        box.put(state, bundle)


def test_error_of_the_disk_is_a_message(state, bundle, monkeypatch):
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StateUnusable, match="Input/output error"):
        box.put(state, bundle)


def cut_off(state, bundle):
    """What a killed install leaves: the documents, one file whole, one in part."""
    incoming = state / "bundles" / ".incoming-tiny-tutor-1.0.0"
    incoming.mkdir(parents=True)
    for name in ("bundle.toml", "bundle.sig", "config.json"):
        shutil.copy(bundle / name, incoming / name)
    (incoming / "model.safetensors").write_bytes((bundle / "model.safetensors").read_bytes()[:50])
    (incoming / ".bundle.sig.new").write_text("")
    return incoming


def test_what_a_cut_off_install_copied_is_not_copied_again(state, bundle, monkeypatch):
    cut_off(state, bundle)
    asked = {}
    real = source.DirectorySource.open

    def spy(self, name):
        file = real(self, name)
        seek = file.seek
        asked[name] = []
        monkeypatch.setattr(type(self), "open", spy)
        return Wrapped(file, lambda position: (asked[name].append(position), seek(position)))

    monkeypatch.setattr(source.DirectorySource, "open", spy)
    assert not box.put(state, bundle).was_there
    assert asked["model.safetensors"] == [50]
    assert asked["config.json"] == [(bundle / "config.json").stat().st_size]
    assert asked["LICENSE"] == [0]


class Wrapped:
    """A file whose seeks are seen."""

    def __init__(self, file, seek):
        self._file, self.seek = file, seek

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def read(self, size=-1):
        return self._file.read(size)


def test_blocks_that_a_power_cut_left_empty_are_copied_anew(state, bundle, key):
    incoming = cut_off(state, bundle)
    whole = (bundle / "model.safetensors").stat().st_size
    (incoming / "model.safetensors").write_bytes(bytes(whole))
    outcome = box.put(state, bundle)
    assert verify.directory(outcome.bundle.directory, key.trusted(), NOW)


def test_leavings_of_another_bundle_are_discarded(state, bundle, key, tmp_path):
    cut_off(state, bundle)
    box.put(state, signed.make(tmp_path / "next", key, version="2.0.0"))
    assert names(state) == ["tiny-tutor-2.0.0"]


def test_progress_is_told_up_to_the_whole(state, bundle):
    seen = []
    with installed.change(box.tree(state)):
        install.run(
            source.find(bundle), box.tree(state), box.judge(state), lambda done, total: seen.append((done, total))
        )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {seen[-1][1]}


def test_killed_at_any_of_fifty_moments_the_box_has_a_verified_model_and_the_next_run_completes(tmp_path, key):
    chance = random.Random(4)
    state, next_bundle = tmp_path / "state", signed.make(tmp_path / "next", key, version="2.0.0")
    key.write(state / "trust")
    installed.activate(box.tree(state), box.put(state, signed.make(tmp_path / "old", key)).bundle.directory)
    steps = box.struck(copy_of(state, tmp_path), next_bundle, 0).steps
    assert steps > 60, "too few moments to choose from"
    ends = set()
    for step in sorted(chance.sample(range(1, steps + 1), 50)):
        victim = copy_of(state, tmp_path)
        assert box.struck(victim, next_bundle, step).signal == signal.SIGKILL
        in_use = installed.active(box.tree(victim))
        assert in_use is not None, f"neither the old nor the new after step {step}"
        ends.add(verify.directory(in_use, key.trusted(), NOW).manifest.version)
        for one in installed.everything(box.tree(victim)):
            assert verify.directory(one.directory, key.trusted(), NOW), "what has its final name is whole"
        assert box.struck(victim, next_bundle, 0).signal == 0
        in_use = installed.active(box.tree(victim))
        assert in_use is not None
        assert verify.directory(in_use, key.trusted(), NOW).manifest.version == "2.0.0"
        before = installed.previous(box.tree(victim))
        assert before is not None
        assert before.name == "tiny-tutor-1.0.0"
        assert not [name for name in names(victim) if name.startswith(".")]
    assert "1.0.0" in ends


def copy_of(state, tmp_path):
    victim = tmp_path / "victim"
    shutil.rmtree(victim, ignore_errors=True)
    shutil.copytree(state, victim, symlinks=True)
    return victim


def test_bundle_that_a_newer_box_packed_with_a_refused_file_is_refused(state, bundle, tmp_path):
    (bundle / "model.py").write_text("")
    with pytest.raises((BundleUntrusted, ModelUnusable)):
        box.put(state, bundle)
    assert not (state / "bundles" / "tiny-tutor-1.0.0" / manifest.FILE_NAME).exists()
