"""Claims about ``bundles.convert``, with a stand-in for the converter at the process boundary."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliance.bundles import convert
from appliance.errors import ConversionFailed, DigestMismatch, NotEnoughMemory, OperatorError


def _convert(shop, target: Path, fault: str = "") -> None:
    convert.to_safetensors(shop.recipe, shop.gguf(), target, shop.tree, converter=shop.converter(fault))


def test_the_converter_runs_offline_without_the_parents_environment_and_talks_to_a_log(
    shop, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_PARENT", "s")  # the stand-in asserts both

    _convert(shop, tmp_path / "model")

    assert {path.name for path in (tmp_path / "model").iterdir()} >= set(convert.REQUIRED)
    assert (shop.tree.state_dir / "log" / "prepare.log").read_text() == "talk\n"


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("fail", ConversionFailed, "exit status 3"),
        ("killed", NotEnoughMemory, "memory"),
        ("incomplete", ConversionFailed, "model.safetensors"),
        ("code", ConversionFailed, "modeling.py"),
        ("other weights", DigestMismatch, "recipe"),
    ],
)
def test_a_bad_conversion_is_refused(shop, tmp_path, fault: str, kind: type[OperatorError], says: str) -> None:
    with pytest.raises(kind) as failure:
        _convert(shop, tmp_path / "model", fault)

    assert says in failure.value.message
    assert failure.value.remedy


def test_an_interruption_ends_the_converter(shop, tmp_path) -> None:
    started = tmp_path / "model" / "started"
    deadline = time.monotonic() + 30

    def interrupt_once_it_runs() -> None:
        assert time.monotonic() < deadline
        if started.exists() and started.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert.to_safetensors(
            shop.recipe,
            shop.gguf(),
            tmp_path / "model",
            shop.tree,
            interrupt_once_it_runs,
            shop.converter("hang"),
        )

    assert not Path(f"/proc/{started.read_text()}").exists()
