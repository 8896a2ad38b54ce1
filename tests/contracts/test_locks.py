"""The locks: everything by hash, the same version everywhere, nothing of the machine that made them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LOCKS = Path(__file__).resolve().parents[2] / "deploy" / "locks"
NAMES = ("ansible", "build", "dev", "engine-cpu", "engine-gpu", "gateway", "host", "pip", "torch-cpu", "torch-cuda")
FORBIDDEN = {"torchaudio", "torchcodec", "torchvision"}
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def requirements(name: str) -> dict[str, tuple[str, list[str]]]:
    """Normalised name to version and hashes of each requirement in a lock."""
    text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            match = re.match(r"([A-Za-z0-9][\w.-]*)===?(\S+)\s", line)
            assert match, f"{name}.txt: not a pinned requirement: {line[:80]}"
            found[re.sub(r"[-_.]+", "-", match[1]).lower()] = (match[2], HASH.findall(line))
    return found


def versions(name: str) -> dict[str, str]:
    return {package: version for package, (version, _) in requirements(name).items()}


def test_every_lock_is_tested_here() -> None:
    assert sorted(path.stem for path in LOCKS.glob("*.txt")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_requirement_has_a_hash(name: str) -> None:
    found = requirements(name)
    assert found
    assert [package for package, (_, hashes) in found.items() if not hashes] == []


@pytest.mark.parametrize("name", NAMES)
def test_lock_names_no_host_and_no_place_on_a_machine(name: str) -> None:
    for line in (LOCKS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        assert not re.search(r"://|file:|\s/|--(extra-)?index-url|--find-links|--trusted-host", line), line


@pytest.mark.parametrize("name", NAMES)
def test_packages_that_break_transformers_are_not_locked(name: str) -> None:
    assert not FORBIDDEN & set(requirements(name))


def test_version_is_the_same_in_every_lock() -> None:
    seen: dict[str, set[str]] = {}
    # What bundles are built with clashes with vLLM and lives in an environment of its own.
    for name in set(NAMES) - {"build"}:
        for package, version in versions(name).items():
            seen.setdefault(package, set()).add(version)
    assert seen.pop("torch") == {"2.13.0", "2.13.0+cpu"}
    assert {package: found for package, found in seen.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", ["build", "engine-cpu", "engine-gpu", "dev"])
def test_what_the_gateway_needs_is_in_every_other_lock(name: str) -> None:
    assert versions("gateway").items() <= versions(name).items()


def test_torch_is_left_to_locks_of_its_own() -> None:
    # In the engine's own lock its hash would be that of whichever build the machine that made the lock saw.
    assert "torch" not in versions("engine-cpu")
    assert "torch" not in versions("engine-gpu")
    assert "torch" not in versions("dev")
    assert "torch" not in versions("build")
    assert versions("torch-cpu")["torch"] == "2.13.0+cpu"
    assert not [package for package in versions("torch-cpu") if package.startswith("nvidia-")]
    assert [package for package in versions("torch-cuda") if package.startswith("nvidia-")]


def test_torch_of_a_gpu_box_is_not_the_build_for_cpus() -> None:
    small, plain = requirements("torch-cpu")["torch"][1], requirements("torch-cuda")["torch"][1]
    assert not set(small) & set(plain)


def test_what_torch_needs_is_in_the_engines_lock() -> None:
    needed = set(versions("torch-cpu")) - {"torch"}
    assert needed <= set(versions("engine-cpu"))
    assert needed <= set(versions("build"))
