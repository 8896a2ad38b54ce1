"""Claims about ``cli.this_host``."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli import this_host
from appliance.core.evidence import Outcome
from appliance.errors import ApplianceError, ModelUnusable
from appliance.health.controls import register
from appliance.settings import Settings


def test_every_check_comes_to_a_result_on_the_machine_as_it_is(state_dir: Path) -> None:
    seen = this_host.look(Settings(state_dir=state_dir))
    results = dict(register.run(seen))
    assert all(result.outcome in Outcome for result in results.values())
    assert results["request.routes"].outcome is Outcome.PASS
    assert results["request.metric_labels"].outcome is Outcome.PASS
    assert results["request.text_only"].outcome is Outcome.PASS
    assert results["software.versions"].outcome in {Outcome.PASS, Outcome.UNKNOWN}
    assert list(state_dir.iterdir()) == [], "looking leaves nothing behind"


def test_without_a_model_there_is_no_launch_line_and_no_signer(state_dir: Path) -> None:
    tree = Settings(state_dir=state_dir)
    with pytest.raises(ModelUnusable):
        this_host.launch_line(tree)
    with pytest.raises(ApplianceError, match="not signed"):
        this_host.signer(state_dir, tree)


def test_a_distribution_that_is_not_installed_has_no_version() -> None:
    assert this_host.version_of("no-such-distribution") is None
    assert this_host.version_of("starlette")
