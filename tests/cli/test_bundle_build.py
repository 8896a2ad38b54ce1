import pytest
from typer.testing import CliRunner

from appliance.bundles import builder, workshop
from appliance.cli.main import app
from appliance.errors import BuildEnvironmentMissing, RecipeInvalid


def run(*words):
    return CliRunner().invoke(app, ["bundle", "build", *map(str, words)])


def test_outside_the_build_environment_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(workshop, "NEEDED", ("torch_that_is_nowhere",))
    done = run("smollm2-135m-tutor", "--out", tmp_path)
    assert isinstance(done.exception, BuildEnvironmentMissing)
    assert "make build-env" in done.exception.remedy
    assert list(tmp_path.iterdir()) == []


def test_unknown_recipe_is_refused(tmp_path):
    assert isinstance(run("nothing", "--out", tmp_path).exception, RecipeInvalid)


@pytest.mark.parametrize("words", [(), ("--finetune", "gpu", "--quantize", "fp8", "--ignore-gate")])
def test_options_become_the_order_and_the_stages_are_shown(monkeypatch, tmp_path, words):
    orders = []

    def build(order, stated, shop, announce, tick):
        orders.append(order)
        for stage in builder.STAGES:
            with announce(stage) as tell:
                shop.follow("half way")
                tick()
                tell(f"{stage} is done")
        return shop.out / f"{stated.name}-{stated.version}"

    monkeypatch.setattr(workshop, "NEEDED", ())
    monkeypatch.setattr(builder, "build", build)
    done = run("smollm2-135m-tutor", "--out", tmp_path, "--state-dir", tmp_path / "state", *words)
    assert done.exit_code == 0, done.output
    assert "quantize is done" in done.output
    assert str(tmp_path / "smollm2-135m-tutor") in done.stdout
    assert (orders[0].profile, orders[0].quantization, orders[0].ignore_gate) == (
        ("gpu", "fp8", True) if words else ("", "", False)
    )
