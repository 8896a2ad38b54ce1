"""One list of behaviours (behaviours.toml), played by each client that apps use, against real vLLM."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.e2e import langchain_client, python_sdk
from tests.e2e.conftest import HERE, Box

BEHAVIOURS = tomllib.loads((HERE / "behaviours.toml").read_text(encoding="utf-8"))
SCRIPTS = HERE / "js"
#: Where npm installs what package-lock.json names.
PACKAGES = HERE.parents[1] / ".cache" / "js"
# The clients warn about what they plan to change; that is not ours.
pytestmark = pytest.mark.filterwarnings("default")


def names(client: str) -> list[str]:
    return [name for name, behaviour in BEHAVIOURS.items() if client not in behaviour.get("not_in", [])]


def assert_plays(module: ModuleType, name: str, box: Box) -> None:
    getattr(module, name)(module.connect(box), box)


@pytest.mark.parametrize("name", names("python"))
def test_python_sdk(box: Box, name: str) -> None:
    assert_plays(python_sdk, name, box)


@pytest.mark.parametrize("name", names("langchain"))
def test_langchain(box: Box, name: str) -> None:
    assert_plays(langchain_client, name, box)


@pytest.fixture(scope="module")
def javascript(box: Box) -> dict[str, str]:
    """What came of every behaviour in JavaScript: empty where it holds."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is not installed, so the JavaScript SDK is not tested (apt-get install nodejs npm)")
    _install(npm)
    played = subprocess.run(
        [node, str(SCRIPTS / "run.mjs"), str(PACKAGES)],
        env=os.environ | {"APP_BASE_URL": box.base_url, "APP_KEY": box.key, "APP_MODEL": box.model},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert played.returncode == 0, played.stderr
    results: dict[str, str] = json.loads(played.stdout)
    return results


@pytest.mark.parametrize("name", names("javascript"))
def test_javascript_sdk(javascript: dict[str, str], name: str) -> None:
    assert javascript[name] == ""


def _install(npm: str) -> None:
    """``npm ci`` of the lock, once for each lock."""
    lock, done = (SCRIPTS / "package-lock.json").read_bytes(), PACKAGES / "node_modules" / ".installed-lock.json"
    if done.is_file() and done.read_bytes() == lock:
        return
    PACKAGES.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SCRIPTS / name, Path(PACKAGES) / name)
    installed = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=PACKAGES,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr[-2000:]
    done.write_bytes(lock)
