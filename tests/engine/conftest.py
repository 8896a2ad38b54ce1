"""Fixtures of the engine's tests."""

from __future__ import annotations

import pytest

from tests.engine.supervised_engine import SupervisedEngine


@pytest.fixture
def supervised(state_dir):
    """Starts supervised fake engines in one state directory; none outlives the test."""
    started = []

    def start(**options):
        started.append(SupervisedEngine(state_dir, **options))
        return started[-1]

    yield start
    for engine in started:
        engine.close()
