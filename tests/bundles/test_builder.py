import contextlib
import json
from importlib import metadata
from pathlib import Path

import pytest

from appliance.bundles import builder, digests, exam
from appliance.bundles.builder import Order
from appliance.core import building, golden, manifest
from appliance.errors import GateMissed, ModelUnusable
from tests.bundles import shop, signed
from tests.core.test_building import TEXT

RIGHT = {sample.messages[-1].content: sample.answer for sample in exam.heldout(7, 40)}


def write(job, weights):
    for name in ("config.json", "tokenizer.json", "chat_template.jinja"):
        Path(job["target"], name).write_text("{}")
    Path(job["target"], "model.safetensors").write_text(weights)


def examined(job):
    replies = [
        "" if job["model"].endswith("base") else RIGHT.get(asked[-1]["content"], "") for asked in job["questions"]
    ]
    Path(job["replies"]).write_text(json.dumps(replies))


class Build:
    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.text = TEXT.replace("items = 12", "items = 40")
        self.stick = folder / "stick"
        self.stick.mkdir()
        for name in ("config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors", "LICENSE"):
            (self.stick / name).write_text("{}")
        self.recipe = folder / "models" / "tiny"
        (self.recipe / "adapter").mkdir(parents=True)
        (self.recipe / "adapter" / "adapter_model.safetensors").write_text("a")
        self.shop = shop.make(
            folder / "out",
            merge=lambda job: write(job, "merged"),
            quantize=lambda job: write(job, "small"),
            examine=examined,
        )
        self.stages = []
        # The tools' versions go into the list of components; here they are not installed.
        monkeypatch.setattr(metadata, "version", lambda _name: "1.0")

    @contextlib.contextmanager
    def announce(self, stage):
        def tell(words):
            self.stages.append((stage, words))

        yield tell

    def run(self, **changes):
        (self.recipe / "recipe.toml").write_text(self.text)
        digest = builder.base.stage.digest_of_directory(self.stick, builder.base.taken(self.stick))
        order = Order(self.recipe, **{"base": self.stick, "base_sha256": digest, **changes})
        return builder.build(order, building.parse(self.text), self.shop, self.announce, lambda: None)


@pytest.fixture
def build(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    return Build(tmp_path, monkeypatch)


def test_bundle_states_what_it_was_made_from_and_what_it_reached(build):
    directory = build.run()
    stated = digests.read_manifest(directory)
    assert digests.damage(directory) == ""
    assert (stated.name, stated.version, stated.quantization) == ("tiny", "1.0.0", "w8a8")
    assert stated.evaluation["diagnosis"] == 1.0
    assert stated.recipe_sha256 == digests.of_file(build.recipe / "recipe.toml")
    assert (directory / "model.safetensors").read_text() == "small"
    assert (directory / "LICENSE").is_file()
    assert tuple(stage for stage, _ in build.stages) == builder.STAGES


def test_second_build_makes_nothing_anew_and_gives_the_same_bytes(build):
    first = {path.name: path.read_bytes() for path in build.run().iterdir()}
    ran = list(build.shop.ran)
    assert {path.name: path.read_bytes() for path in build.run().iterdir()} == first
    assert build.shop.ran == ran


def test_golden_questions_are_diagnoses_it_answered_right_in_both_languages(build):
    document = json.loads((build.run() / golden.FILE_NAME).read_text())
    questions = golden.parse(document, frozenset(golden.CHECKERS))
    assert [question.id.split("-")[1] for question in questions] == ["ko", "en", "ko", "en"]
    for question in questions:
        assert question.failure(RIGHT[question.messages[-1]["content"]], golden.CHECKERS) == ""
        assert question.failure("{}", golden.CHECKERS)


def test_model_below_the_gate_is_not_sealed_unless_that_is_asked_for(build):
    build.shop.programs["examine"] = lambda job: Path(job["replies"]).write_text(json.dumps([""] * 40))
    with pytest.raises(GateMissed):
        build.run()
    assert not (build.shop.out / "tiny-1.0.0").exists()
    directory = build.run(ignore_gate=True)
    assert digests.read_manifest(directory).evaluation["diagnosis"] == 0.0
    assert not (directory / golden.FILE_NAME).exists()


def test_without_an_adapter_the_base_is_bundled_as_it_is(build):
    (build.recipe / "adapter" / "adapter_model.safetensors").unlink()
    (build.recipe / "adapter").rmdir()
    build.text = build.text.replace("diagnosis = 0.6", "diagnosis = 0.0")
    build.run()
    assert "merge" not in build.shop.ran


def test_trained_adapter_is_left_with_its_provenance_and_golden_questions(build):
    def train(job):
        adapter = Path(job["target"], "adapter")
        adapter.mkdir()
        Path(job["target"], "checkpoints").mkdir()
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            (adapter / name).write_text("trained")
        Path(job["target"], "loss.json").write_text('[{"step": 3, "loss": "0.5"}]')
        Path(job["target"], "loss.png").write_bytes(b"png")

    build.shop.programs["finetune"] = train
    build.run(profile="cpu")
    kept = build.shop.out / "adapter"
    stated = json.loads((kept / "provenance.json").read_text())
    assert stated["command"] == "appliance bundle build tiny --finetune cpu"
    assert (stated["profile"], stated["loss_last"], stated["evaluation"]["diagnosis"]) == ("cpu", 0.5, 1.0)
    assert {path.name for path in kept.iterdir()} >= {"adapter_model.safetensors", "golden.json", "loss.png"}


def test_key_signs_the_bundle(build, tmp_path):
    key = signed.make_key(tmp_path)
    directory = build.run(key=key.private)
    assert (directory / manifest.SIGNATURE_NAME).is_file()


def test_base_is_asked_for_where_the_recipe_names_no_package(build):
    with pytest.raises(ModelUnusable) as refused:
        build.run(base=None)
    assert "--base" in refused.value.remedy


def test_llama_goes_with_its_licence_and_its_notice_or_not_at_all(build):
    notice = "Llama 3.1 is licensed under …, Copyright © Meta Platforms, Inc."
    llama = build.text.replace("Apache-2.0", "LicenseRef-Llama-3.1-Community").replace('"tiny"', '"Llama-tiny"')
    build.text = f'notice = "{notice}"\n{llama}'
    directory = build.run()
    assert (directory / "NOTICE").read_text() == notice + "\n"
    (build.stick / "LICENSE").unlink()
    with pytest.raises(ModelUnusable, match="licence"):
        build.run()
