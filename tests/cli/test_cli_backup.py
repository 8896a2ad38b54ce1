"""``appliance backup``, with a real gateway that runs on through it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from appliance import settings as settings_module
from appliance.cli.main import app
from appliance.errors import AlreadyRunning, BackupUnusable, SettingsInvalid, StateNotEmpty
from appliance.gateway import tenure
from appliance.gateway.record_reader import RecordReader
from tests.cli.foreground import free_port, wait_for
from tests.fakes.engine import FakeEngine


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["backup", *map(str, arguments)])


def ok(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output + repr(result.exception)
    return json.loads(result.stdout)


@pytest.fixture
def key_file(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Backups are configured; the private half lies here."""
    monkeypatch.setattr(settings_module, "SYSTEM_FILE", state_dir / "appliance.toml")
    file = state_dir / "recovery-key.txt"
    monkeypatch.setenv("APPLIANCE_BACKUP__RECIPIENT", ok("keygen", "--out", file)["public"])
    monkeypatch.setenv("APPLIANCE_BACKUP__DIRECTORY", str(state_dir / "backups"))
    return file


@pytest.fixture
def state(state_dir: Path) -> Path:
    done = CliRunner().invoke(
        app, ["keys", "create", "--name", "homework", "--state-dir", str(state_dir / "a"), "--json"]
    )
    (state_dir / "key").write_text(json.loads(done.stdout)["key"])
    return state_dir / "a"


@contextmanager
def gateway(state: Path, engine: FakeEngine) -> Iterator[httpx.Client]:
    """A gateway process, its client with the key, and a request that was answered."""
    port = free_port()
    environment = {
        **os.environ,
        "APPLIANCE_GATEWAY__PORT": str(port),
        "APPLIANCE_ENGINE__SOCKET_PATH": str(engine.path),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "appliance", "gateway", "--state-dir", state], env=environment
    ) as process:
        key = (state.parent / "key").read_text()
        url, headers = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:

            def is_ready() -> bool:
                with suppress(httpx.HTTPError):
                    return client.get("/health/ready").status_code == 200
                return False

            try:
                wait_for(is_ready)
                assert ask(client) == 200
                yield client
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def ask(client: httpx.Client) -> int:
    question = {"model": "gpt-4o", "messages": [{"role": "user", "content": "1 + 1 = ?"}]}
    return client.post("/v1/chat/completions", json=question).status_code


@pytest.mark.process
def test_a_fresh_host_serves_the_same_key_and_its_audit_goes_on(state: Path, key_file: Path) -> None:
    with FakeEngine(state.parent / "engine.sock") as engine:
        with gateway(state, engine) as client:
            made = ok("create", "--state-dir", state)
            assert ask(client) == 200, "the backup stopped nobody"
            assert isinstance(
                run("restore", made["file"], "--identity", key_file, "--state-dir", state, "--replace").exception,
                AlreadyRunning,
            )
        fresh = state.parent / "b"
        public = state / "upkeep" / "machine-key.pub.pem"
        restored = ok("restore", made["file"], "--identity", key_file, "--state-dir", fresh, "--machine-key", public)
        assert (restored["audit"], restored["signed"]) == ("whole", True)
        before = RecordReader(fresh / "records.sqlite3").verify()
        with gateway(fresh, engine):
            pass
    after = RecordReader(fresh / "records.sqlite3").verify()
    assert (before.problem, after.problem) == (None, None)
    assert after.records > before.records > 0
    assert after.first == before.first


def test_a_backup_is_made_listed_and_verified(state: Path, key_file: Path) -> None:
    made = ok("create", "--state-dir", state)
    assert [one["file"] for one in ok("list", "--state-dir", state)] == [made["file"]]
    note = json.loads((state / "upkeep" / "backup.json").read_text())
    assert (note["format"], note["ok"], note["last_success_at"], note["size_bytes"]) == (
        1,
        True,
        note["at"],
        made["size_bytes"],
    )
    told = ok("verify", made["file"], "--state-dir", state)
    assert (told["signed"], told["opened"]) == (True, False)
    told = ok("verify", made["file"], "--state-dir", state, "--identity", key_file)
    assert told["opened"] is True
    assert "keys.sqlite3" in told["files"]


def test_every_command_says_it_in_words_too(state: Path, key_file: Path) -> None:
    assert run("create", "--state-dir", state).stdout.startswith("backup       ")
    (file,) = (state.parent / "backups").glob("*.age")
    assert file.name in run("list", "--state-dir", state).stdout
    assert "content      whole" in run("verify", file, "--state-dir", state, "--identity", key_file).stdout
    said = run("restore", file, "--identity", key_file, "--state-dir", state.parent / "b", "--unproven").stdout
    assert "signature    not checked" in said
    assert "AGE-SECRET-KEY-1" in run("keygen").stdout


def test_a_backup_that_fails_leaves_a_note_that_keeps_the_last_success(
    state: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ok("create", "--state-dir", state)
    monkeypatch.setenv("APPLIANCE_BACKUP__DIRECTORY", str(key_file))
    result = run("create", "--state-dir", state)
    assert isinstance(result.exception, BackupUnusable)
    note = json.loads((state / "upkeep" / "backup.json").read_text())
    assert (note["ok"], note["size_bytes"]) == (False, made["size_bytes"])
    assert note["last_success_at"] < note["at"]
    assert "cannot be written" in note["reason"]


def test_a_backup_of_another_machine_is_refused_by_the_machine_key_that_was_written_down(
    state: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = ok("create", "--state-dir", state)["file"]
    public = state / "upkeep" / "machine-key.pub.pem"
    other = state.parent / "other"
    CliRunner().invoke(app, ["keys", "create", "--name", "intruder", "--state-dir", str(other)])
    monkeypatch.setenv("APPLIANCE_BACKUP__DIRECTORY", str(state.parent / "forged"))
    forged = ok("create", "--state-dir", other)["file"]
    fresh = ["--identity", key_file, "--state-dir", state.parent / "fresh", "--machine-key", public]
    result = run("restore", forged, *fresh)
    assert isinstance(result.exception, BackupUnusable)
    assert "not signed by the machine key" in str(result.exception)
    assert ok("restore", genuine, *fresh)["signed"] is True


def test_a_backup_whose_maker_nobody_can_tell_is_refused_unless_taken_on_trust(state: Path, key_file: Path) -> None:
    file = ok("create", "--state-dir", state)["file"]
    fresh = ["--identity", key_file, "--state-dir", state.parent / "fresh"]
    result = run("restore", file, *fresh)
    assert isinstance(result.exception, BackupUnusable)
    assert "--machine-key" in result.exception.remedy
    assert not (state.parent / "fresh" / "keys.sqlite3").exists()
    assert ok("restore", file, *fresh, "--unproven")["signed"] is False


def test_a_state_that_is_not_empty_is_set_aside_only_when_told_so(state: Path, key_file: Path) -> None:
    file = ok("create", "--state-dir", state)["file"]
    assert isinstance(run("restore", file, "--identity", key_file, "--state-dir", state).exception, StateNotEmpty)
    told = ok("restore", file, "--identity", key_file, "--state-dir", state, "--replace")
    assert (Path(told["replaced"]) / "keys.sqlite3").exists()


def test_without_a_recovery_key_there_is_no_backup(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "SYSTEM_FILE", state / "absent.toml")
    result = run("create", "--state-dir", state)
    assert isinstance(result.exception, SettingsInvalid)
    assert "keygen" in str(result.exception)
    assert isinstance(run("list", "--state-dir", state).exception, SettingsInvalid)


def test_nothing_is_restored_under_a_gateway_that_runs(state: Path, key_file: Path) -> None:
    file = ok("create", "--state-dir", state)["file"]
    with tenure.held(state):
        result = run("restore", file, "--identity", key_file, "--state-dir", state, "--replace")
    assert isinstance(result.exception, AlreadyRunning)
