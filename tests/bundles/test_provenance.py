import hashlib
import json
from importlib import metadata

import pytest

from appliance.bundles import exam, provenance
from appliance.bundles.provenance import Training
from appliance.core.tuning import Tuning

TRAINING = Training("base", "b" * 64, "r" * 64, "cpu", Tuning(steps=10, rows=4), "c" * 64, "appliance bundle build x")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: f"{name} 1")
    trained = tmp_path / "trained"
    trained.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json", "README.md"):
        (trained / name).write_text(name)
    asked = exam.heldout(7, 30)
    models = [
        exam.view(exam.mark("base", asked, [""] * 30)),
        exam.view(exam.mark("w8a8", asked, [sample.answer for sample in asked])),
    ]
    provenance.keep(trained, tmp_path / "kept", TRAINING, [{"loss": "2.0"}, {"loss": 1.0}, {"step": 3}], models)
    return tmp_path / "kept"


def test_only_weights_and_configuration_are_kept(kept):
    assert sorted(path.name for path in kept.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "provenance.json",
    ]


def test_provenance_says_how_it_was_trained_and_what_it_reached(kept):
    stated = json.loads((kept / provenance.FILE_NAME).read_text())
    assert stated["evaluation"]["diagnosis"] == 1.0
    assert stated["scores"]["base"]["ko"]["diagnosis"] == 0.0
    assert set(stated["scores"]["w8a8"]) == {"overall", "ko", "en", "questions"}
    assert (stated["samples"], stated["loss_last"], stated["tuning"]["steps"]) == (40, 1.5, 10)
    assert stated["weights_sha256"] == hashlib.sha256(b"adapter_model.safetensors").hexdigest()
    assert "cores" in stated["machine"] or stated["machine"]
