"""The directory of trusted keys."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from appliance.bundles.trust import Trust
from appliance.errors import SettingsInvalid
from tests.bundles import signed


def test_every_key_in_the_directory_is_trusted(tmp_path):
    one, other = signed.make_key(tmp_path, "a.pem"), signed.make_key(tmp_path, "b.pem")
    one.write(tmp_path / "trust")
    (tmp_path / "trust" / "example.toml").rename(tmp_path / "trust" / "older.toml")
    other.write(tmp_path / "trust")
    (tmp_path / "trust" / "README.md").write_text("not a key")
    assert set(Trust.read(tmp_path / "trust").keys) == set(one.trusted().keys) | set(other.trusted().keys)


def test_no_directory_is_no_trust(tmp_path):
    assert Trust.read(tmp_path / "nothing").keys == {}


@pytest.mark.parametrize("kind", ["rsa", "secp256k1", "garbage"])
def test_key_of_another_kind_stops_everything_by_name(tmp_path, kind):
    commands = {"rsa": ["openssl", "genrsa", "2048"], "secp256k1": ["openssl", "ecparam", "-name", kind, "-genkey"]}
    text = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    if kind in commands:
        private = subprocess.run(commands[kind], capture_output=True, check=True).stdout
        text = subprocess.run(
            ["openssl", "pkey", "-pubout"], input=private, capture_output=True, check=True
        ).stdout.decode()
    signed.Key(tmp_path, text).write(tmp_path / "trust")
    with pytest.raises(SettingsInvalid, match=r"example\.toml"):
        Trust.read(tmp_path / "trust")


def test_unreadable_directory_is_no_empty_one(tmp_path, monkeypatch):
    def denied(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(SettingsInvalid, match="Permission denied"):
        Trust.read(tmp_path)


def test_unreadable_key_is_no_missing_key(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsInvalid, match=r"a\.toml"):
        Trust.read(tmp_path)
