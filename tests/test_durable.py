"""Claims about ``appliance.durable``."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import durable


def test_a_file_is_replaced_whole_with_the_mode_that_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_text("old")
    durable.write(path, b"new", mode=0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_what_an_interrupted_write_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".note.new").write_text("half")
    durable.write(tmp_path / "note", b"whole", mode=0o640)
    assert (tmp_path / "note").read_bytes() == b"whole"


def test_an_exclusive_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    with pytest.raises(FileExistsError), durable.exclusive(tmp_path / "key", 0o600):
        pytest.fail("it was opened")


def test_an_exclusive_file_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError), durable.exclusive(tmp_path / "link", 0o600):
        pytest.fail("it was opened")
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_can_be_synced(tmp_path: Path) -> None:
    durable.sync_directory(tmp_path)
    with pytest.raises(NotADirectoryError):
        durable.sync_directory(Path(__file__))


def test_link_is_relative_so_that_the_whole_state_can_move(tmp_path: Path) -> None:
    (tmp_path / "bundles" / "x").mkdir(parents=True)
    durable.link(tmp_path / "active", tmp_path / "bundles" / "x")
    durable.link(tmp_path / "active", tmp_path / "bundles" / "x")
    assert (tmp_path / "active").readlink().as_posix() == "bundles/x"


def test_directories_change_names(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "is").write_text(name)
    durable.exchange(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one" / "is").read_text() == "other"
    with pytest.raises(FileNotFoundError):
        durable.exchange(tmp_path / "one", tmp_path / "missing")


def test_whole_tree_is_synced_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("x")
    durable.sync_tree(tmp_path)
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="link"):
        durable.sync_tree(tmp_path)
