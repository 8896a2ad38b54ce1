"""One stage of building: from inputs known by digest to a directory, with a receipt, done once.

A stage that was done with the same inputs, and whose output is still as it
was, is not done again. The output is made under another name and renamed when
it is whole; a stage that goes on from its own part (fine-tuning) gets the same
unfinished directory back.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import durable
from appliance.bundles import digests

_UNFINISHED = ".unfinished"
_RECEIPT = ".receipt.json"


@dataclass(frozen=True)
class Receipt:
    """What a stage did.

    Args:
        stage: its name.
        inputs: what it was made from, by name: digests and parameters.
        outputs: SHA-256 of every file it made.
        seconds: how long it took.
    """

    stage: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    seconds: float

    @property
    def digest(self) -> str:
        """One digest of all it made."""
        return digest_of(self.outputs)


@dataclass(frozen=True)
class Done:
    """A stage's directory, its receipt, and whether it was done before."""

    directory: Path
    receipt: Receipt
    was_there: bool


def digest_of(value: Any) -> str:
    """SHA-256 of a value of JSON's types."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def digest_of_directory(directory: Path, names: Iterable[str] | None = None) -> str:
    """One digest of the files of a directory and their names; of all below it, or of those named."""
    if names is None:
        return digest_of(_outputs(directory))
    return digest_of({name: digests.of_file(directory / name) for name in names})


def once(name: str, target: Path, inputs: Mapping[str, str], make: Callable[[Path], None]) -> Done:
    """Do a stage unless it is done.

    Args:
        name: of the stage.
        target: directory it gives.
        inputs: what the outcome depends on.
        make: fills the directory it is given, which may hold what an interrupted run with the same inputs left.
    """
    known = _read(_receipt_path(target))
    same = known is not None and known.stage == name and dict(known.inputs) == dict(inputs) and target.is_dir()
    if known and same and _outputs(target) == dict(known.outputs):
        return Done(target, known, was_there=True)
    unfinished = target.with_name(target.name + _UNFINISHED)
    begun = _read(_receipt_path(unfinished))
    if begun is None or dict(begun.inputs) != dict(inputs):
        shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, exist_ok=True)
    _write(_receipt_path(unfinished), Receipt(name, inputs, {}, 0.0))
    started = time.monotonic()
    make(unfinished)
    receipt = Receipt(name, inputs, _outputs(unfinished), round(time.monotonic() - started, 1))
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    _write(_receipt_path(target), receipt)
    _receipt_path(unfinished).unlink(missing_ok=True)
    return Done(target, receipt, was_there=False)


def _outputs(directory: Path) -> dict[str, str]:
    return {name: listed.sha256 for name, listed in digests.of_directory(directory).items()}


def _receipt_path(target: Path) -> Path:
    return target.with_name(target.name + _RECEIPT)


def _write(path: Path, receipt: Receipt) -> None:
    stated = {
        "stage": receipt.stage,
        "inputs": dict(receipt.inputs),
        "outputs": dict(receipt.outputs),
        "seconds": receipt.seconds,
    }
    durable.write(path, (json.dumps(stated, indent=1, ensure_ascii=False) + "\n").encode(), mode=0o644)


def _read(path: Path) -> Receipt | None:
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        return Receipt(stated["stage"], stated["inputs"], stated["outputs"], stated["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
