"""When a model directory must be signed before it is served."""

from __future__ import annotations

import pytest

from appliance.cli import signature
from appliance.errors import BundleUntrusted
from appliance.settings import Settings
from tests.bundles import signed


@pytest.fixture
def key(tmp_path):
    return signed.make_key(tmp_path)


def test_signed_directory_is_verified_even_when_its_key_has_expired_since(tmp_path, key):
    from datetime import date

    key.write(tmp_path / "trust", not_after=date(2020, 1, 1))
    assert signature.check(signed.make(tmp_path / "b", key), Settings(state_dir=tmp_path))


def test_changed_or_untrusted_directory_is_not_served(tmp_path, key):
    bundle = signed.make(tmp_path / "b", key)
    with pytest.raises(BundleUntrusted, match="does not trust"):
        signature.check(bundle, Settings(state_dir=tmp_path))
    key.write(tmp_path / "trust")
    (bundle / "LICENSE").write_text("other")
    with pytest.raises(BundleUntrusted, match="LICENSE"):
        signature.check(bundle, Settings(state_dir=tmp_path))


def test_unsigned_directory_is_served_only_where_no_key_is_trusted_and_the_settings_allow_it(tmp_path, key):
    bundle = signed.make(tmp_path / "b", None)
    assert not signature.check(bundle, Settings(state_dir=tmp_path))
    with pytest.raises(BundleUntrusted, match="not signed"):
        signature.check(bundle, Settings(state_dir=tmp_path, bundles={"require_signature": True}))
    key.write(tmp_path / "trust")
    with pytest.raises(BundleUntrusted, match="not signed"):
        signature.check(bundle, Settings(state_dir=tmp_path))
