"""What is on the box, and what is in use."""

from __future__ import annotations

import pytest

from appliance.bundles import installed
from appliance.errors import AlreadyRunning, BundleNotFound, ModelUnusable
from tests.bundles import box, signed


@pytest.fixture
def state(tmp_path):
    key = signed.make_key(tmp_path)
    key.write(tmp_path / "state" / "trust")
    for number in (1, 2):
        box.put(tmp_path / "state", signed.make(tmp_path / f"b{number}", key, version=f"{number}.0.0"))
    box.put(tmp_path / "state", signed.make(tmp_path / "other", key, name="other", version="1.0.0"))
    return tmp_path / "state"


def test_one_in_use_and_the_way_back_are_marked(state):
    tree = box.tree(state)
    assert installed.active(tree) is None
    for name in ("tiny-tutor-1.0.0", "tiny-tutor-2.0.0", "tiny-tutor-2.0.0"):
        installed.activate(tree, installed.find(tree, name).directory)
    marks = {one.directory.name: (one.is_active, one.is_previous) for one in installed.everything(tree)}
    assert marks == {
        "other-1.0.0": (False, False),
        "tiny-tutor-1.0.0": (False, True),
        "tiny-tutor-2.0.0": (True, False),
    }


def test_name_alone_is_enough_where_it_is_clear(state):
    tree = box.tree(state)
    assert installed.find(tree, "other").directory.name == "other-1.0.0"
    with pytest.raises(BundleNotFound, match="several versions"):
        installed.find(tree, "tiny-tutor")
    with pytest.raises(BundleNotFound, match="'nothing'"):
        installed.find(tree, "nothing")


def test_something_else_in_the_place_of_the_link_is_left_alone(state):
    (state / "active").mkdir()
    tree = box.tree(state)
    with pytest.raises(ModelUnusable, match="active"):
        installed.activate(tree, installed.find(tree, "other").directory)


def test_unreadable_bundle_is_listed_as_such(state):
    (state / "bundles" / "other-1.0.0" / "bundle.toml").write_text("nonsense")
    (one,) = [one for one in installed.everything(box.tree(state)) if one.directory.name == "other-1.0.0"]
    assert one.manifest is None


def test_one_command_at_a_time_changes_bundles(state):
    with installed.change(box.tree(state)), pytest.raises(AlreadyRunning), installed.change(box.tree(state)):
        pytest.fail("two at once")
