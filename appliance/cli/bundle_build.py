"""``appliance bundle build``: from a recipe to a signed bundle, where bundles are made (never on a box)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from appliance.bundles import builder, pack, recipes, workshop
from appliance.bundles.builder import Order
from appliance.bundles.workshop import Workshop
from appliance.cli import state
from appliance.cli.state import StateDir
from appliance.cli.steps import Step, Steps
from appliance.core import building, recipe
from appliance.errors import RecipeInvalid

_TITLES = {
    "base": "Base model",
    "finetune": "Fine-tune",
    "merge": "Merge",
    "quantize": "Quantize",
    "evaluate": "Evaluate",
    "seal": "Seal and sign",
}


def build(
    name: Annotated[str, typer.Argument(help="The recipe: a folder of models/.")] = recipes.EMBEDDED,
    out: Annotated[Path, typer.Option("--out", help="Folder for all stages; NAME below it is used.")] = Path("build"),
    base: Annotated[
        Path | None, typer.Option("--base", help="Directory with the base model, as on a USB stick.")
    ] = None,
    base_sha256: Annotated[str, typer.Option("--base-sha256", help="Its digest, where the recipe pins none.")] = "",
    finetune: Annotated[
        str, typer.Option("--finetune", help="Train with this profile of the recipe; else its adapter is used.")
    ] = "",
    quantize: Annotated[str, typer.Option("--quantize", help="Quantization of the recipe; its first by default.")] = "",
    items: Annotated[Path | None, typer.Option("--items", help="The academy's own items to evaluate, JSONL.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Private key to sign with, a PEM file.")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="File with the key's password.")] = None,
    ignore_gate: Annotated[
        bool, typer.Option("--ignore-gate", help="Seal although its scores are below the recipe's gate.")
    ] = False,
    packed: Annotated[bool, typer.Option("--pack", help="Pack it into one .bundle file as well.")] = False,
    folder: Annotated[Path, typer.Option("--models", help="Folder of the recipes.")] = recipes.FOLDER,
    state_dir: StateDir = None,
) -> None:
    """Build a bundle. What was finished is kept: the same command goes on where it was cut off.

    Needs the build environment: make build-env, then .venv-build/bin/appliance.

    Example: appliance bundle build smollm2-135m-tutor --key bundle-key.pem --pack

    The larger run: appliance bundle build llama-3.1-8b-tutor --base /media/usb/Llama-3.1-8B-Instruct --finetune qlora
    """
    recipe_folder = folder / name
    try:
        stated = building.parse((recipe_folder / recipe.FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise RecipeInvalid(f"There is no recipe for {name} in {folder}.") from None
    workshop.require()
    password = password_file.read_bytes().strip() if password_file else None
    order = Order(recipe_folder, base, base_sha256, finetune, quantize, items, key, password, ignore_gate)
    signed_and_packed = packed and key is not None
    steps = Steps(len(builder.STAGES) + signed_and_packed)
    shown: list[Step] = []

    @contextmanager
    def announce(stage: str) -> Iterator[Callable[[str], None]]:
        with steps.step(_TITLES[stage]) as step:
            shown.append(step)

            def outcome(text: str) -> None:
                step.outcome = text

            yield outcome

    def follow(line: str) -> None:
        shown[-1].progress(line)

    def tick() -> None:
        shown[-1].tick()

    shop = Workshop(out / name, state.load(state_dir), follow)
    shop.out.mkdir(parents=True, exist_ok=True)
    directory = builder.build(order, stated, shop, announce, tick)
    if signed_and_packed:
        with steps.step("Pack") as step:
            directory = pack.archive(directory, shop.out, step.count)
    typer.echo(directory)
