"""A workshop whose programs are Python functions: what a stage asks for is seen, nothing heavy runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance import settings
from appliance.bundles.stage import Done, once
from appliance.bundles.workshop import Workshop


@dataclass(frozen=True)
class FakeWorkshop(Workshop):
    """Runs ``programs[module](job)`` in place of a process; ``ran`` lists what was asked for."""

    programs: dict[str, Callable[[Mapping[str, Any]], None]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def program(self, module: str, job: Mapping[str, Any], name: str) -> None:
        """See :class:`Workshop`; the job goes through JSON as it would."""
        self.ran.append(name)
        self.programs[module](json.loads(json.dumps(job)))


def make(out: Path, **programs: Callable[[Mapping[str, Any]], None]) -> FakeWorkshop:
    """A workshop below ``out``."""
    return FakeWorkshop(out, settings.load(state_dir=out / "state"), programs=programs)


def model(out: Path, name: str = "base", weights: str = "weights") -> Done:
    """A finished stage with a model's files in it."""

    def fill(directory: Path) -> None:
        for file in ("config.json", "tokenizer.json", "chat_template.jinja"):
            (directory / file).write_text("{}", encoding="utf-8")
        (directory / "model.safetensors").write_text(weights, encoding="utf-8")

    return once(name, out / name, {"weights": weights}, fill)
