"""Claims about ``cli.machine_key``."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from appliance.cli import machine_key
from appliance.cli.main import app
from appliance.errors import StatementUnusable, StateUnusable
from appliance.settings import Settings


def test_the_key_is_made_once_and_its_private_half_is_for_its_owner(state_dir: Path) -> None:
    tree = Settings(state_dir=state_dir)
    signature = machine_key.signer(tree)(b"statement")
    again = machine_key.signer(tree)(b"another")
    fits = machine_key.verifier(machine_key.public_path(tree))
    assert fits(b"statement", signature)
    assert fits(b"another", again)
    assert not fits(b"statement", again)
    assert not fits(b"statement", b"nonsense")
    assert (state_dir / "upkeep" / "machine-key.pem").stat().st_mode & 0o777 == 0o600
    assert len(machine_key.fingerprint(machine_key.public_path(tree))) == 64


@pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL's program is not installed")
def test_openssl_checks_a_signature_with_the_public_half_alone(state_dir: Path) -> None:
    tree = Settings(state_dir=state_dir)
    (state_dir / "file").write_bytes(b"statement")
    (state_dir / "file.sig").write_bytes(machine_key.signer(tree)(b"statement"))
    command = ["openssl", "dgst", "-sha256", "-verify", machine_key.public_path(tree), "-signature", "file.sig", "file"]
    assert b"Verified OK" in subprocess.run(command, cwd=state_dir, capture_output=True, check=True).stdout


def test_a_public_half_that_was_lost_is_written_again(state_dir: Path) -> None:
    tree = Settings(state_dir=state_dir)
    machine_key.signer(tree)
    before = machine_key.public_path(tree).read_bytes()
    machine_key.public_path(tree).unlink()
    machine_key.signer(tree)
    assert machine_key.public_path(tree).read_bytes() == before


def test_what_is_no_key_is_told(state_dir: Path) -> None:
    (state_dir / "x").write_text("x")
    with pytest.raises(StatementUnusable):
        machine_key.verifier(state_dir / "x")
    with pytest.raises(StatementUnusable):
        machine_key.fingerprint(state_dir / "absent")
    with pytest.raises(StateUnusable):
        machine_key.signer(Settings(state_dir=state_dir / "x"))


def test_command_prints_the_public_half_that_signatures_are_checked_with(state_dir: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["machine-key", "--state-dir", str(state_dir)])
    (tmp_path / "printed.pem").write_text(done.stdout)
    signature = machine_key.signer(Settings(state_dir=state_dir))(b"statement")
    assert machine_key.verifier(tmp_path / "printed.pem")(b"statement", signature)
    assert done.stderr == f"fingerprint  {machine_key.fingerprint(tmp_path / 'printed.pem')}\n"
    assert "PRIVATE" not in done.output


def test_command_says_the_same_as_json(state_dir: Path) -> None:
    printed = CliRunner().invoke(app, ["machine-key", "--state-dir", str(state_dir)])
    told = json.loads(CliRunner().invoke(app, ["machine-key", "--state-dir", str(state_dir), "--json"]).stdout)
    assert told["public_key"] == printed.stdout
    assert told["file"] == str(state_dir / "upkeep" / "machine-key.pub.pem")
    assert told["fingerprint"] in printed.stderr
