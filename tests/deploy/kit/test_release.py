"""The releases a kit can be made for."""

from __future__ import annotations

import pytest

from deploy.kit import release, wheels
from deploy.kit.release import KitFailed


@pytest.mark.parametrize("name", ["debian-12", "debian-13", "ubuntu-24.04"])
def test_release_names_its_python_and_sources(name: str) -> None:
    found = release.read(name, "gpu")
    assert found.python.startswith("3.")
    assert any("security" in source for source in found.sources)


def test_unknown_release_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KitFailed, match=r"no release 'debian-11'.*debian-12, debian-13, ubuntu-24\.04"):
        release.read("debian-11", "gpu")


def test_engine_that_a_release_cannot_have_is_refused_with_what_can_be_had() -> None:
    said = "A cpu kit cannot be made for debian-13 and its Python 3.13. Choose VARIANT=gateway or gpu, or RELEASE=debian-12."
    with pytest.raises(KitFailed) as caught:
        release.read("debian-13", "cpu")
    assert str(caught.value) == said


@pytest.mark.parametrize("variant", wheels.LOCKS)
def test_every_kit_can_be_made_for_debian_12(variant: str) -> None:
    assert release.read("debian-12", variant).python == "3.11"
