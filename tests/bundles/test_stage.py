import pytest

from appliance.bundles import stage


def filler(text="x"):
    made = []

    def make(directory):
        made.append(sorted(path.name for path in directory.iterdir()))
        (directory / "out").write_text(text)

    return make, made


def test_stage_that_is_done_is_not_done_again(tmp_path):
    make, made = filler()
    first = stage.once("a", tmp_path / "a", {"in": "1"}, make)
    second = stage.once("a", tmp_path / "a", {"in": "1"}, make)
    assert (first.was_there, second.was_there, len(made)) == (False, True, 1)
    assert first.receipt == second.receipt
    assert list(first.receipt.outputs) == ["out"]


def test_stage_with_other_inputs_is_done_from_nothing(tmp_path):
    make, made = filler()
    stage.once("a", tmp_path / "a", {"in": "1"}, make)
    assert not stage.once("a", tmp_path / "a", {"in": "2"}, make).was_there
    assert made == [[], []]


def test_changed_output_is_made_again(tmp_path):
    make, made = filler()
    stage.once("a", tmp_path / "a", {"in": "1"}, make)
    (tmp_path / "a" / "out").write_text("tampered")
    assert not stage.once("a", tmp_path / "a", {"in": "1"}, make).was_there
    assert (tmp_path / "a" / "out").read_text() == "x"
    assert len(made) == 2


def test_interrupted_stage_leaves_nothing_at_its_place_and_goes_on_from_its_part(tmp_path):
    seen = []

    def breaks(directory):
        (directory / "part").write_text("1")
        raise KeyboardInterrupt

    def goes_on(directory):
        seen.extend(path.name for path in directory.iterdir())

    with pytest.raises(KeyboardInterrupt):
        stage.once("a", tmp_path / "a", {"in": "1"}, breaks)
    assert not (tmp_path / "a").exists()
    stage.once("a", tmp_path / "a", {"in": "1"}, goes_on)
    assert seen == ["part"]


def test_part_of_another_order_is_thrown_away(tmp_path):
    def breaks(directory):
        (directory / "part").write_text("1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.once("a", tmp_path / "a", {"in": "1"}, breaks)
    make, made = filler()
    stage.once("a", tmp_path / "a", {"in": "2"}, make)
    assert made == [[]]


def test_broken_receipt_counts_as_none(tmp_path):
    make, made = filler()
    stage.once("a", tmp_path / "a", {"in": "1"}, make)
    (tmp_path / "a.receipt.json").write_text("{")
    stage.once("a", tmp_path / "a", {"in": "1"}, make)
    assert len(made) == 2


def test_digest_of_a_directory_tells_names_and_contents_apart(tmp_path):
    (tmp_path / "one").write_text("1")
    first = stage.digest_of_directory(tmp_path)
    (tmp_path / "one").rename(tmp_path / "two")
    second = stage.digest_of_directory(tmp_path)
    (tmp_path / "two").write_text("2")
    assert len({first, second, stage.digest_of_directory(tmp_path)}) == 3
