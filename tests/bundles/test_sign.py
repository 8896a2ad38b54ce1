"""Signing: deterministic, with elliptic-curve keys only."""

from __future__ import annotations

import stat
import subprocess

import pytest

from appliance.bundles import sign, verify
from appliance.core import manifest
from appliance.errors import ModelUnusable, SigningFailed
from tests.bundles import signed
from tests.bundles.signed import NOW


def test_same_bundle_and_key_give_the_same_signature(tmp_path):
    key = signed.make_key(tmp_path)
    bundle = signed.make(tmp_path / "b", key)
    first = (bundle / manifest.SIGNATURE_NAME).read_bytes()
    sign.directory(bundle, key.private)
    assert (bundle / manifest.SIGNATURE_NAME).read_bytes() == first


@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1", "secp521r1"])
def test_key_made_by_openssl_signs(tmp_path, curve):
    private = tmp_path / "k.pem"
    subprocess.run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", private], check=True)
    public = subprocess.run(["openssl", "pkey", "-in", private, "-pubout"], check=True, capture_output=True).stdout
    key = signed.Key(private, public.decode())
    assert verify.directory(signed.make(tmp_path / "b", key), key.trusted(), NOW)


def test_key_with_a_password_needs_it(tmp_path):
    plain = signed.make_key(tmp_path)
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "pkey", "-in", plain.private, "-aes256", "-passout", "pass:geheim", "-out", locked], check=True
    )
    with pytest.raises(SigningFailed, match="password"):
        sign.read_key(locked)
    assert sign.read_key(locked, b"geheim").curve.name == "secp256r1"


def test_key_file_is_its_owners_alone_and_never_overwritten(tmp_path):
    key = signed.make_key(tmp_path)
    assert stat.S_IMODE(key.private.stat().st_mode) == 0o600
    before = key.private.read_bytes()
    with pytest.raises(SigningFailed, match="not overwritten"):
        sign.make_key(key.private)
    assert key.private.read_bytes() == before


def test_key_that_is_missing_or_of_another_kind_says_so(tmp_path):
    with pytest.raises(SigningFailed, match="No such file"):
        sign.read_key(tmp_path / "nothing.pem")
    rsa = tmp_path / "rsa.pem"
    subprocess.run(["openssl", "genrsa", "-out", rsa, "2048"], check=True, capture_output=True)
    with pytest.raises(SigningFailed, match="elliptic-curve"):
        sign.read_key(rsa)


def test_directory_that_is_not_sealed_is_not_signed(tmp_path):
    with pytest.raises(ModelUnusable):
        sign.directory(signed.fill(tmp_path / "b"), signed.make_key(tmp_path).private)
