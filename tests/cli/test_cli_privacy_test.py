"""``appliance privacy-test`` as an auditor runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import privacy_test
from appliance.errors import NotConclusive
from appliance.gateway.keystore import KeyStore
from appliance.settings import Settings
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import start

pytestmark = pytest.mark.process


def run(state_dir: Path, port: int, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "appliance", "privacy-test", "--state-dir", str(state_dir), *options],
        env={**os.environ, "APPLIANCE_GATEWAY__PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def port(state_dir: Path) -> Any:
    with FakeEngine(state_dir / "engine.sock") as engine:
        for gateway in start(state_dir, engine):
            gateway.wait_ready()
            yield gateway.port


def test_clean_box_is_exit_0_and_the_tests_key_is_revoked(state_dir: Path, port: int) -> None:
    done = run(state_dir, port, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["finds"]) == (0, [])
    assert report["searched"]["state directory"] > 0
    keys = {key.app: key for key in KeyStore(state_dir / "keys.sqlite3").list()}
    assert keys["privacy-test"].revoked_at is not None
    left = json.loads((state_dir / "upkeep" / "privacy-test.json").read_text())
    assert (left["ok"], left["canaries_found"], left["searched"]) == (True, 0, report["searched"])


@pytest.mark.parametrize(
    ("host", "port", "searched"),
    [
        ("0.0.0.0", 8081, [("127.0.0.1", 8081, "/metrics"), ("127.0.0.1", 8081, "/metrics/engine")]),
        ("", 8081, []),
        ("127.0.0.1", 0, []),
    ],
)
def test_both_pages_of_metrics_are_searched_where_they_are(
    monkeypatch: pytest.MonkeyPatch, host: str, port: int, searched: list[tuple[str, int, str]]
) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__ADMIN_HOST", host)
    monkeypatch.setenv("APPLIANCE_GATEWAY__ADMIN_PORT", str(port))
    assert list(privacy_test._target(Settings(), "key").metrics) == searched


def test_appliance_that_does_not_run_is_one_line_with_the_remedy_and_no_verdict(state_dir: Path) -> None:
    KeyStore(state_dir / "keys.sqlite3").create("app", now=0.0)
    done = run(state_dir, 1)
    assert done.returncode == NotConclusive.exit_code == 75
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: Nobody listens on 127.0.0.1 port 1, so nothing was tested. Start the appliance")


def test_another_state_directory_is_no_verdict(port: int, tmp_path: Path) -> None:
    done = run(tmp_path, port)
    assert (done.returncode, done.stdout) == (NotConclusive.exit_code, "")
    assert not (tmp_path / "upkeep").exists()
    assert "There is no key database" in done.stderr
    assert list(tmp_path.iterdir()) == [], "no database is made there"
    store = KeyStore(tmp_path / "keys.sqlite3")
    store.create("app", now=0.0)
    done = run(tmp_path, port)
    assert (done.returncode, done.stdout) == (NotConclusive.exit_code, "")
    assert not (tmp_path / "upkeep").exists()
    assert "does not take a key of this state directory" in done.stderr
    assert [key.app for key in store.list() if key.revoked_at is None] == ["app"]


def test_a_model_that_is_not_served_is_no_verdict(state_dir: Path, port: int) -> None:
    done = run(state_dir, port, "--model", "nope")
    assert (done.returncode, done.stdout) == (NotConclusive.exit_code, "")
    assert not (state_dir / "upkeep").exists()
    assert "The model nope does not answer (status 404)" in done.stderr
