"""The releases a kit can be made for."""

from __future__ import annotations

import pytest

from deploy.kit import release
from deploy.kit.release import KitFailed


@pytest.mark.parametrize("name", ["debian-12", "debian-13", "ubuntu-24.04"])
def test_release_names_its_python_and_sources(name: str) -> None:
    found = release.read(name)
    assert found.python.startswith("3.")
    assert any("security" in source for source in found.sources)


def test_unknown_release_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KitFailed, match=r"no release 'debian-11'.*debian-12, debian-13, ubuntu-24\.04"):
        release.read("debian-11")
