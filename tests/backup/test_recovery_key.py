"""Claims about ``backup.recovery_key``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest

from appliance.backup import recovery_key
from appliance.errors import BackupUnusable, SettingsInvalid


def test_a_saved_pair_is_for_its_owner_and_opens_what_its_public_half_sealed(tmp_path: Path) -> None:
    pair = recovery_key.make()
    recovery_key.save(pair, tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    sealed = pyrage.encrypt(b"x", [recovery_key.recipient(pair.public)])
    assert pyrage.decrypt(sealed, [recovery_key.read(tmp_path / "key")]) == b"x"


@pytest.mark.skipif(shutil.which("age-keygen") is None, reason="age is not installed")
def test_the_pair_is_one_of_ages(tmp_path: Path) -> None:
    pair = recovery_key.make()
    recovery_key.save(pair, tmp_path / "key")
    done = subprocess.run(["age-keygen", "-y", tmp_path / "key"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == pair.public


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    recovery_key.save(recovery_key.make(), tmp_path / "key")
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(BackupUnusable, match="not overwritten"):
        recovery_key.save(recovery_key.make(), tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before


@pytest.mark.parametrize("text", ["", "age1abc", "AGE-SECRET-KEY-1NONSENSE"])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(BackupUnusable, match="holds no recovery key"):
        recovery_key.read(tmp_path / "key")
    with pytest.raises(BackupUnusable, match="cannot be read"):
        recovery_key.read(tmp_path / "absent")
    with pytest.raises(SettingsInvalid):
        recovery_key.recipient("age1" + "q" * 58)
