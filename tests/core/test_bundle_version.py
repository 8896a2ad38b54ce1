"""Versions of bundles and their order."""

from __future__ import annotations

import pytest

from appliance.core import bundle_version
from appliance.errors import ModelUnusable


def test_order_is_that_of_semantic_versioning():
    texts = ["1.0-alpha", "1.0-alpha.1", "1.0-alpha.beta", "1.0-beta.2", "1.0-beta.11", "1.0-rc.1", "1.0", "1.0.1"]
    texts += ["1.2", "1.10", "2"]
    versions = [bundle_version.parse(text) for text in texts]
    turned = versions[::-1]
    assert sorted(turned) == versions
    assert len(set(versions)) == len(versions)


def test_numbers_left_out_are_zero():
    assert bundle_version.parse("1") == bundle_version.parse("1.0.0.0")


@pytest.mark.parametrize("text", ["", "v1", "1.", "1..2", "1.2.3.4.5", "1-", "1-a b", "latest", "1.0+build", "1" * 10])
def test_other_forms_are_refused(text):
    with pytest.raises(ModelUnusable):
        bundle_version.parse(text)
