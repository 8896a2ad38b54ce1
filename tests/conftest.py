"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from appliance.settings import PREFIX

# On a machine under load a slow example or a slow draw says nothing.
hypothesis.settings.register_profile(
    "appliance", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("appliance")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests stay together when several processes share them (``--dist loadgroup``).

    A file's tests share its fixtures. All that start whole processes or vLLM stay in one: two models are too much for a machine.
    """
    for item in items:
        whole = item.get_closest_marker("e2e") or item.get_closest_marker("process")
        item.add_marker(pytest.mark.xdist_group("processes" if whole else item.path.stem))


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
