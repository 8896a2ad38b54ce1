"""Wheels of a kit."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from deploy.kit import wheels

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("variant", wheels.LOCKS)
def test_requirements_of_a_variant_are_pinned_by_hash_and_each_once(variant: str) -> None:
    texts = [(ROOT / "deploy" / "locks" / f"{name}.txt").read_text(encoding="utf-8") for name in wheels.LOCKS[variant]]
    lines = wheels._merged(texts).splitlines()
    names = [re.match(r"[\w.-]+", line)[0].lower() for line in lines]
    assert len(names) == len(set(names)) > 10
    assert all("--hash=sha256:" in line for line in lines)


def test_engine_is_in_the_kits_that_have_one() -> None:
    def names(variant: str) -> str:
        locks = (ROOT / "deploy" / "locks" / f"{name}.txt" for name in wheels.LOCKS[variant])
        return wheels._merged([lock.read_text(encoding="utf-8") for lock in locks])

    assert "\nvllm==" in names("gpu")
    assert "\nvllm-cpu==" in names("cpu")
    assert "\ntorch==2.13.0+cpu" in names("cpu")
    assert "vllm" not in names("gateway")


@pytest.mark.parametrize(("python", "said"), [("3.11", ""), ("3.12", "vllm needs six"), ("3.13", "vllm needs six")])
def test_what_a_newer_python_needs_and_no_lock_has_is_named(tmp_path: Path, python: str, said: str) -> None:
    needs = (
        'Requires-Dist: six>=1.16; python_version > "3.11"\nRequires-Dist: torchaudio\nRequires-Dist: a; extra == "b"\n'
    )
    with zipfile.ZipFile(tmp_path / "vllm-1-py3-none-any.whl", "w") as archive:
        archive.writestr("vllm-1.dist-info/METADATA", f"Name: vllm\nVersion: 1\n{needs}")
    assert wheels.lacking(tmp_path, python) == said


def test_projects_wheel_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (wheels.project(ROOT, tmp_path / name) for name in ("one", "two"))
    assert one.name.startswith("appliance-")
    assert one.read_bytes() == two.read_bytes()
