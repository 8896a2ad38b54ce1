"""``appliance settings``: what is set, and the page that documents every setting."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from appliance import settings as tree

PAGE_HEAD = """# Settings

Made from `appliance/settings.py` by `make docs`; do not edit.

Later wins: the default, then the settings file (`/etc/appliance/appliance.toml`, or the one that
`APPLIANCE_SETTINGS_FILE` names), then the environment variable. Lists and tables in a variable are JSON.
An unknown name stops the command with a hint; nothing is ignored in silence. `appliance settings` prints what is in force.

| in the file | environment variable | type | default | meaning |
| --- | --- | --- | --- | --- |
"""


def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/settings.md.")] = False,
) -> None:
    """Print every setting with the value in force.

    Example: appliance settings --json
    """
    if markdown:
        typer.echo(page(), nl=False)
        return
    values = in_force()
    if as_json:
        typer.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    for name, value in values.items():
        typer.echo(f"{name} = {json.dumps(value, ensure_ascii=False)}")


def page() -> str:
    """The whole of ``docs/settings.md``."""
    rows = (
        f"| `{setting.name}` | `{setting.variable}` | {setting.kind} | {_cell(setting.default)} | {setting.text} |\n"
        for setting in tree.describe()
    )
    return PAGE_HEAD + "".join(rows)


def in_force() -> dict[str, Any]:
    """Value of every setting by its name in the file, in JSON's types.

    Raises:
        SettingsInvalid: file or environment do not hold.
    """
    values = tree.load().model_dump(mode="json")
    found: dict[str, Any] = {}
    for setting in tree.describe():
        value: Any = values
        for part in setting.name.split("."):
            value = value[part]
        found[setting.name] = value
    return found


def _cell(default: str) -> str:
    return default if default == "—" else f"`{default}`"
