"""The explicit list is complete and without doubles."""

from __future__ import annotations

import ast
from pathlib import Path

import appliance.exporter
from appliance.exporter import collectors

ROOM = Path(appliance.exporter.__file__).parent


def collector_classes():
    for path in ROOM.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = {item.name for item in getattr(node, "body", []) if isinstance(item, ast.FunctionDef)}
            if isinstance(node, ast.ClassDef) and "collect" in names and path.stem != "collector":
                yield node.name


def test_every_collector_in_the_room_is_in_the_list():
    assert sorted(type(one).__name__ for one in collectors.standard().every) == sorted(collector_classes())


def test_names_are_distinct():
    names = [one.name for one in collectors.standard().every]
    assert len(names) == len(set(names))


def test_slow_ones_are_in_the_list_too():
    made = collectors.standard()
    assert made.slow
    assert all(any(one is other for other in made.every) for one in made.slow)
