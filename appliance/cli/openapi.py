"""``appliance openapi``: the document of the HTTP API, which is also ``docs/openapi.json``."""

from __future__ import annotations

import json

import typer

from appliance.gateway import operations


def show() -> None:
    """Print the OpenAPI document of the public listener, as JSON.

    Example: appliance openapi > openapi.json
    """
    typer.echo(page(), nl=False)


def page() -> str:
    """The whole of ``docs/openapi.json``."""
    return json.dumps(operations.document(), indent=1, ensure_ascii=False) + "\n"
