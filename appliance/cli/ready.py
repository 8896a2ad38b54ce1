"""``appliance ready``: the answer of one process, for whoever watches it from outside, such as a container's health check."""

from __future__ import annotations

import asyncio
import http.client
from enum import StrEnum
from typing import Annotated

import typer

from appliance.cli import serve, state
from appliance.cli.state import StateDir
from appliance.engine import model, probe
from appliance.errors import ModelUnusable
from appliance.settings import Settings

#: Longest wait for an answer or a token; below the ten seconds after which a container's check is given up.
DEADLINE_SECONDS = 8.0


class Process(StrEnum):
    """The processes that serve."""

    GATEWAY = "gateway"
    ENGINE = "engine"
    EXPORTER = "exporter"


def run(
    process: Annotated[Process, typer.Argument(help="Which one to ask.")] = Process.GATEWAY,
    state_dir: StateDir = None,
) -> None:
    """Ask one process of the appliance whether it serves: exit 0 if it does, 1 if not.

    The gateway by GET /health/ready, the engine by a generated token, the exporter by its metrics.

    Example: appliance ready engine
    """
    tree = state.load(state_dir)
    asked = {Process.GATEWAY: serve.is_ready, Process.ENGINE: _generates, Process.EXPORTER: _exports}
    if not asked[process](tree):
        typer.echo(f"{process} is not ready", err=True)
        raise typer.Exit(1)
    typer.echo(f"{process} is ready")


def _generates(tree: Settings) -> bool:
    """Whether the engine generates: a token of our own, or, behind a full batch, those of others."""
    try:
        name = model.read(tree.model_dir, tree.engine.served_model_name, check_digests=False).name
    except ModelUnusable:
        return False
    try:
        return asyncio.run(_token(tree, name))
    except probe.ProbeFailed:
        return False


async def _token(tree: Settings, name: str) -> bool:
    before = await probe.counters(tree.socket_path)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await probe.generate(tree.socket_path, name)
    except TimeoutError:
        return await probe.counters(tree.socket_path) != before
    return True


def _exports(tree: Settings) -> bool:
    host = serve.reachable_host(tree.exporter.host)
    return serve.answers(http.client.HTTPConnection(host, tree.exporter.port, timeout=DEADLINE_SECONDS), "/metrics")
