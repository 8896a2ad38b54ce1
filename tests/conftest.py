"""Fixtures that every test may use."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from appliance.settings import PREFIX

ROOT = Path(__file__).resolve().parents[1]

# On a machine under load a slow example or a slow draw says nothing.
hypothesis.settings.register_profile(
    "appliance", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("appliance")


class Together(LoadScopeScheduling):
    """How several processes share the tests: a file's stay together, and all that start whole processes or vLLM in one.

    Two models at once are too much for a machine.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "processes" if _starts_processes(file) else file


@functools.cache
def _starts_processes(file: str) -> bool:
    return file.startswith("tests/e2e/") or "pytest.mark.process" in (ROOT / file).read_text(encoding="utf-8")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """The scheduler of ``pytest -n``."""
    return Together(config, log)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, the only event loop the appliance uses."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests are not the tests' settings."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)
    # Any number of gateways may run beside each other.
    monkeypatch.setenv(f"{PREFIX}GATEWAY__ADMIN_PORT", "0")


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """An empty state directory with a path short enough for Unix sockets (107 bytes)."""
    path = Path(tempfile.mkdtemp(prefix="appl-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
