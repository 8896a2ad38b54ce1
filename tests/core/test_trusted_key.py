"""The file of a trusted key."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from appliance.core import trusted_key
from appliance.core.trusted_key import TrustedKey
from appliance.errors import SettingsInvalid

PEM = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n"
KEY = TrustedKey('교육회사 "A"', date(2028, 12, 31), PEM)


def test_rendered_key_reads_back_equal():
    assert trusted_key.parse(trusted_key.render(KEY), "a.toml") == KEY


def test_last_day_is_included_and_the_next_is_not():
    midnight = datetime(2029, 1, 1, tzinfo=UTC).timestamp()
    assert not KEY.is_expired(midnight - 1)
    assert KEY.is_expired(midnight)


@pytest.mark.parametrize(
    "text",
    [
        "no toml =",
        "",
        "owner = 'a'\npublic_key = 'x'\n",
        "owner = 'a'\nnot_after = 2028-12-31\npublic_key = 'x'\nmore = 1\n",
        "owner = ''\nnot_after = 2028-12-31\npublic_key = 'x'\n",
        "owner = 'a'\nnot_after = '2028-12-31'\npublic_key = 'x'\n",
        "owner = 'a'\nnot_after = 2028-12-31T00:00:00Z\npublic_key = 'x'\n",
        "owner = 'a'\nnot_after = 2028-12-31\npublic_key = 3\n",
        "owner = 'a'\nnot_after = 2028-12-31\npublic_key = '-----BEGIN EC PRIVATE KEY-----'\n",
    ],
)
def test_file_of_another_form_is_refused_by_name(text):
    with pytest.raises(SettingsInvalid, match=r"school\.toml"):
        trusted_key.parse(text, "school.toml")
