"""``appliance bundle``: every command, its exit code, its JSON."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from appliance.cli.main import app
from appliance.core import manifest
from appliance.errors import (
    AlreadyRunning,
    BundleInUse,
    BundleNotFound,
    BundleOlder,
    BundleUntrusted,
    ModelUnusable,
)
from tests.bundles import signed


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return signed.make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def state(state_dir, key):
    key.write(state_dir / "trust")
    return state_dir


@pytest.fixture
def bundle(tmp_path, key):
    return signed.make(tmp_path / "tutor", key)


def run(state, *words):
    return CliRunner().invoke(app, ["bundle", *map(str, words), "--state-dir", str(state)])


def data(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_verify_says_what_it_is_and_who_signed_it(state, bundle):
    shown = data(run(state, "verify", bundle, "--json"))
    assert (shown["name"], shown["version"], shown["signed_by"]) == ("tiny-tutor", "1.0.0", "Example Education")


def test_packed_bundle_is_verified_and_nothing_is_kept(state, bundle, tmp_path):
    packed = tmp_path / "t.bundle"
    assert CliRunner().invoke(app, ["bundle", "pack", str(bundle), "--out", str(packed)]).exit_code == 0
    assert data(run(state, "verify", packed, "--json"))["version"] == "1.0.0"
    assert run(state, "list", "--json").stdout.strip() == "[]"
    content = bytearray(packed.read_bytes())
    content[content.index(b"Apache-2.0\n")] ^= 1
    packed.write_bytes(content)
    assert isinstance(run(state, "verify", packed).exception, BundleUntrusted)


@pytest.mark.parametrize("command", ["verify", "install", "inspect"])
def test_changed_bundle_exits_65_with_a_remedy(state, bundle, command):
    path = bundle / manifest.FILE_NAME
    path.write_text(path.read_text().replace("1.0.0", "9.0.0"))
    error = run(state, command, bundle).exception
    assert isinstance(error, BundleUntrusted)
    assert error.exit_code == 65
    assert error.remedy


def test_inspect_shows_all_a_bundle_states(state, bundle):
    shown = data(run(state, "inspect", bundle, "--json"))
    assert shown["engine"] == {"cpu": {"max_num_seqs": 4}}
    assert shown["components"] == ["Nobody/Tiny 1"]
    assert shown["evaluation"] == {"diagnosis.accuracy": 0.5}
    assert "model.safetensors" in shown["files"]
    run(state, "install", bundle)
    assert data(run(state, "inspect", "tiny-tutor-1.0.0", "--json")) == shown
    assert "diagnosis.accuracy: 0.5" in run(state, "inspect", bundle).stdout


def test_install_list_activate_and_back(state, bundle, key, tmp_path):
    installed = data(run(state, "install", bundle, "--json"))
    assert (installed["was_installed"], installed["active"]) == (False, False)
    newer = data(run(state, "install", signed.make(tmp_path / "new", key, version="1.1.0"), "--activate", "--json"))
    assert newer["activation"] == {
        "name": "tiny-tutor",
        "version": "1.1.0",
        "serving": False,
        "golden_questions": 0,
        "seconds": newer["activation"]["seconds"],
    }
    older = run(state, "activate", "tiny-tutor-1.0.0")
    assert isinstance(older.exception, BundleOlder)
    assert data(run(state, "activate", "tiny-tutor-1.0.0", "--allow-downgrade", "--json"))["version"] == "1.0.0"
    assert data(run(state, "rollback", "--json"))["version"] == "1.1.0"
    rows = {row["bundle"]: row["state"] for row in data(run(state, "list", "--json"))}
    assert rows == {"tiny-tutor-1.0.0": "previous", "tiny-tutor-1.1.0": "active"}
    assert "tiny-tutor-1.1.0" in run(state, "list").stdout


def test_bundle_that_was_damaged_on_the_box_is_not_activated(state, bundle):
    run(state, "install", bundle)
    (state / "bundles" / "tiny-tutor-1.0.0" / "LICENSE").write_text("rot")
    assert isinstance(run(state, "activate", "tiny-tutor").exception, BundleUntrusted)
    assert not (state / "active").exists()


def test_bundle_in_use_and_the_way_back_are_not_removed_but_others_are(state, bundle, key, tmp_path):
    run(state, "install", bundle, "--activate")
    run(state, "install", signed.make(tmp_path / "new", key, version="1.1.0"), "--activate")
    run(state, "install", signed.make(tmp_path / "next", key, version="1.2.0"))
    for name in ("tiny-tutor-1.0.0", "tiny-tutor-1.1.0"):
        assert isinstance(run(state, "remove", name).exception, BundleInUse)
    assert data(run(state, "remove", "tiny-tutor-1.2.0", "--json"))["version"] == "1.2.0"
    assert len(data(run(state, "list", "--json"))) == 2
    assert not list((state / "bundles").glob(".incoming-*"))


def test_nothing_to_go_back_to_says_so(state):
    assert isinstance(run(state, "rollback").exception, BundleNotFound)


def test_own_model_directory_in_the_settings_is_not_changed_behind_its_back(state, bundle, monkeypatch):
    monkeypatch.setenv("APPLIANCE_ENGINE__MODEL_DIR", str(bundle))
    run(state, "install", bundle)
    assert isinstance(run(state, "activate", "tiny-tutor").exception, ModelUnusable)


def test_two_commands_at_once_are_refused(state, bundle):
    from appliance.bundles import installed
    from tests.bundles import box

    with installed.change(box.tree(state)):
        assert isinstance(run(state, "install", bundle).exception, AlreadyRunning)


def test_key_made_here_signs_and_is_trusted_where_its_file_is_put(state, tmp_path):
    runner, bundle = CliRunner(), signed.make(tmp_path / "b", None)
    made = ["bundle", "keygen", "--out", str(tmp_path / "k.pem"), "--owner", "A", "--not-after", "2099-12-31"]
    assert runner.invoke(app, made).exit_code == 0
    assert runner.invoke(app, ["bundle", "sign", str(bundle), "--key", str(tmp_path / "k.pem")]).exit_code == 0
    assert isinstance(run(state, "verify", bundle).exception, BundleUntrusted)
    shutil.copy(tmp_path / "k.toml", state / "trust")
    assert data(run(state, "verify", bundle, "--json"))["key_ends"] == "2099-12-31"
    assert runner.invoke(app, [*made[:-1], "soon"]).exit_code == 2
