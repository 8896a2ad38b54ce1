"""Filter for the playbook's refusals: variables that look like its own and are none."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

#: Ansible registers this one itself: what the kit states.
NOT_SET_BY_PEOPLE = {"kit_checked"}


def unknown_variable(names: Iterable[str], roles: Any) -> str:
    """The first variable that begins like those of a role and is in no role's list, as a sentence; empty if there is none.

    Args:
        names: of the host's variables.
        roles: directory of the roles, each with ``meta/argument_specs.yml`` and perhaps ``defaults/main.yml``.
    """
    known = _known(Path(roles))
    beginnings = {name.partition("_")[0] for name in known}
    for name in sorted(set(names) - known - NOT_SET_BY_PEOPLE):
        if name.partition("_")[0] in beginnings:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
            remedy = f"Did you mean {near[0]}?" if near else "docs/installation.md lists them."
            return f"There is no variable {name!r}. {remedy}"
    return ""


def _known(roles: Path) -> set[str]:
    found: set[str] = set()
    for file in roles.glob("*/meta/argument_specs.yml"):
        found.update(_read(file)["argument_specs"]["main"]["options"])
    for file in roles.glob("*/defaults/main.yml"):
        found.update(_read(file))
    return found


def _read(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {}


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """The filter by name, as in ``names | appliance_unknown_variable(directory)``."""
        return {"appliance_unknown_variable": unknown_variable}
