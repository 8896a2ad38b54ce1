"""A key's form, digest and life."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core import api_key
from appliance.core.api_key import ApiKey

KEY_BYTES = st.tuples(
    st.binary(min_size=api_key.ID_BYTES, max_size=api_key.ID_BYTES),
    st.binary(min_size=api_key.SECRET_BYTES, max_size=api_key.SECRET_BYTES),
)


@given(KEY_BYTES)
def test_key_names_its_own_id_and_starts_with_the_prefix(random: tuple[bytes, bytes]) -> None:
    key_id, key = api_key.compose(*random)
    assert api_key.key_id_of(key) == key_id
    assert key.startswith(f"{api_key.PREFIX}{key_id}-")


@given(KEY_BYTES, KEY_BYTES)
def test_only_the_same_key_matches(mine: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> None:
    key_id, key = api_key.compose(*mine)
    stored = ApiKey(key_id, "app", api_key.digest(key), 0.0)
    assert api_key.matches(stored, key)
    assert api_key.matches(stored, api_key.compose(*other)[1]) == (mine == other)


@given(st.text())
def test_any_text_may_be_presented_and_matches_no_key(presented: str) -> None:
    stored = ApiKey("abcd2345", "app", api_key.digest("sk-appliance-abcd2345-" + "A" * 43), 0.0)
    assert api_key.key_id_of(presented) is None
    assert not api_key.matches(stored, presented)


@pytest.mark.parametrize(
    "presented",
    [
        "",
        "sk-appliance-",
        "sk-appliance-abcd2345",
        "sk-appliance-abcd2345-" + "A" * 42,
        "sk-appliance-abcd2345-" + "A" * 44,
        "sk-appliance-ABCD2345-" + "A" * 43,
        "sk-appliance-abcd2345-" + "A" * 43 + "\n",
        " sk-appliance-abcd2345-" + "A" * 43,
    ],
)
def test_what_has_not_the_form_has_no_id(presented: str) -> None:
    assert api_key.key_id_of(presented) is None


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "now", "usable"),
    [
        (None, None, 5.0, True),
        (5.0, None, 4.9, True),
        (5.0, None, 5.0, False),
        (None, 5.0, 4.9, True),
        (None, 5.0, 5.0, False),
        (9.0, 5.0, 6.0, False),
    ],
)
def test_key_works_until_it_expires_or_is_revoked(
    expires_at: float | None, revoked_at: float | None, now: float, usable: bool
) -> None:
    assert ApiKey("abcd2345", "app", b"", 0.0, expires_at, revoked_at).is_usable(now) == usable


def test_digest_says_nothing_of_the_secret() -> None:
    _, key = api_key.compose(b"12345", b"s" * 32)
    assert len(api_key.digest(key)) == 32
    assert key.encode() not in api_key.digest(key)
