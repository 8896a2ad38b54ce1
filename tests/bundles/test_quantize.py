import json
from pathlib import Path

from appliance.bundles import quantize
from appliance.core.building import Quantization
from tests.bundles import shop


def test_stage_is_done_once_for_each_scheme(tmp_path):
    jobs = []

    def fake(job):
        jobs.append(job)
        Path(job["target"], "model.safetensors").write_text(job["scheme"])

    made = shop.make(tmp_path, quantize=fake)
    base = shop.model(tmp_path)
    w8a8 = Quantization("w8a8", "W8A8")
    assert [quantize.stage(made, base, w8a8, 7).was_there for _ in range(2)] == [False, True]
    done = quantize.stage(made, base, Quantization("w4a16", "W4A16", calibration_rows=8), 7)
    assert done.directory.name == "quantized-w4a16"
    assert [(job["scheme"], job["ignore"], job["calibration_rows"]) for job in jobs] == [
        ("W8A8", ["lm_head"], 0),
        ("W4A16", ["lm_head"], 8),
    ]


def test_only_what_an_engine_reads_is_left(tmp_path):
    for name in ("recipe.yaml", "README.md", "model.safetensors"):
        (tmp_path / name).write_text("x")
    (tmp_path / "config.json").write_text(json.dumps({"b": 1, "_name_or_path": "/home/somebody/base"}))
    quantize._tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    assert json.loads((tmp_path / "config.json").read_text()) == {"b": 1}
