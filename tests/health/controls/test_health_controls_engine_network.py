"""Claims about ``health.controls.engine_network``, on real network namespaces."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.cli import this_host
from appliance.core.evidence import Outcome
from appliance.health.controls import engine_network
from appliance.settings import Settings
from tests.health.controls.world import World


@contextmanager
def engine(tree: Settings, *prefix: str) -> Iterator[None]:
    """A process that looks like this state directory's engine."""
    words = ["vllm.entrypoints.openai.api_server", "--uds", str(tree.socket_path)]
    with subprocess.Popen(
        [*prefix, sys.executable, "-c", "print('up', flush=True); input()", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield
        finally:
            process.communicate(b"\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")
def test_a_process_in_a_namespace_of_its_own_passes(state_dir: Path) -> None:
    tree = Settings(state_dir=state_dir)
    with engine(tree, "unshare", "--net"):
        result = engine_network.private(this_host.look(tree))
    assert result.outcome is Outcome.PASS
    assert "has lo alone" in result.reason.english


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks into another's namespaces")
def test_a_process_in_the_hosts_network_fails(state_dir: Path) -> None:
    tree = Settings(state_dir=state_dir)
    with engine(tree):
        result = engine_network.private(this_host.look(tree))
    assert result.outcome is Outcome.FAIL
    assert "in the network of the host" in result.reason.english


def test_an_engine_that_does_not_run_or_may_not_be_looked_at_is_unknown(world: World) -> None:
    (world.root / "proc/1/ns/net").unlink()
    assert engine_network.private(world.host()).outcome is Outcome.UNKNOWN
    seen = replace(world.host(), settings=Settings(state_dir=world.root))
    assert engine_network.private(seen).reason.english == "the engine does not run"
