"""Names change in one step."""

from __future__ import annotations

import stat

import pytest

from appliance.bundles import durable


def test_written_file_replaces_the_old_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    (tmp_path / ".a.new").write_text("left by a killed one")
    durable.write(path, b"new", mode=0o640)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_link_is_relative_so_that_the_whole_state_can_move(tmp_path):
    (tmp_path / "bundles" / "x").mkdir(parents=True)
    durable.link(tmp_path / "active", tmp_path / "bundles" / "x")
    durable.link(tmp_path / "active", tmp_path / "bundles" / "x")
    assert (tmp_path / "active").readlink().as_posix() == "bundles/x"


def test_directories_change_names(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "is").write_text(name)
    durable.exchange(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one" / "is").read_text() == "other"
    with pytest.raises(FileNotFoundError):
        durable.exchange(tmp_path / "one", tmp_path / "missing")


def test_whole_tree_is_synced_without_following_links(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("x")
    durable.sync_tree(tmp_path)
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="link"):
        durable.sync_tree(tmp_path)
