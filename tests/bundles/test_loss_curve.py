import pytest

from appliance.bundles import loss_curve

pytest.importorskip("matplotlib", reason="drawn in the build environment alone (make build-env)")

HISTORY = [
    {"step": 10, "loss": "1.5"},
    {"step": 20, "loss": 0.7},
    {"step": 20, "heldout_exact": {"ko": 0.1, "en": 0.2}},
]


@pytest.mark.parametrize("history", [HISTORY, []])
def test_curve_is_a_png(tmp_path, history):
    loss_curve.draw(history, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
