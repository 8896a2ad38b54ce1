"""Runs the programs that make the embedded model, each a process of its own, and checks what they gave."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from appliance import settings
from appliance.bundles.digests import is_pinned
from appliance.core import manifest
from appliance.core.recipe import Recipe
from appliance.errors import ConversionFailed, DigestMismatch, NotEnoughMemory
from appliance.lifeline import tied_to_this_process

#: How the converter is started; source file and target directory follow.
CONVERTER = (sys.executable, "-m", "appliance.bundles.dequantize")
#: How the assembler is started; base, adapter (or nothing) and target follow.
ASSEMBLER = (sys.executable, "-m", "appliance.bundles.assemble")
#: Files without which an engine cannot serve a chat.
REQUIRED = ("chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json")
_INHERITED = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
#: Nothing is looked up in any model hub, no use is reported; a file that is missing is an error here.
OFFLINE = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
_KILLED = -9
_TICK_SECONDS = 1.0


def to_safetensors(
    recipe: Recipe,
    source: Path,
    target: Path,
    tree: settings.Settings,
    tick: Callable[[], None] = lambda: None,
    converter: Sequence[str] = CONVERTER,
) -> None:
    """Convert ``source`` into the new directory ``target``.

    Args:
        recipe: pins the weights that must come out.
        source: the GGUF file.
        target: directory to fill; made if missing.
        tree: says where the log goes.
        tick: called about once a second meanwhile.
        converter: command line of the converter.

    Raises:
        ConversionFailed: the converter failed; its log has the reason.
        NotEnoughMemory: the system killed it.
        DigestMismatch: the weights are not the pinned ones.
        ModelUnusable: it wrote a file that a model directory may not hold.
    """
    target.mkdir(parents=True, exist_ok=True)
    log_path = tree.state_dir / "log" / "prepare.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    status = _run([*converter, str(source.absolute()), str(target.absolute())], tree, log_path, tick)
    _judge(status, target, log_path)
    if not is_pinned(target / recipe.converted.path, recipe.converted):
        raise DigestMismatch(
            "The converted weights are not the ones the recipe pins.",
            remedy="Install the versions of torch and transformers that the lock names and run the same command again.",
        )


def to_quantized(
    base: Path,
    adapter: Path | None,
    target: Path,
    tree: settings.Settings,
    tick: Callable[[], None] = lambda: None,
    assembler: Sequence[str] = ASSEMBLER,
) -> None:
    """Add the adapter to the base and round the result to eight bits, into the new directory ``target``.

    Args:
        base: the base model in bfloat16.
        adapter: the adapter's directory, or None.
        target: directory to fill; made if missing.
        tree: says where the log goes.
        tick: called about once a second meanwhile.
        assembler: command line of the assembler.

    Raises:
        ConversionFailed: it failed; its log has the reason.
        NotEnoughMemory: the system killed it.
    """
    target.mkdir(parents=True, exist_ok=True)
    log_path = tree.state_dir / "log" / "assemble.log"
    sources = [str(path.absolute()) for path in (base, adapter) if path is not None]
    status = _run([*assembler, *sources, str(target.absolute())], tree, log_path, tick)
    _judge(status, target, log_path)


def _run(command: Sequence[str], tree: settings.Settings, log_path: Path, tick: Callable[[], None]) -> int:
    """The exit status of the converter; it is ended when this is interrupted."""
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**settings.child_environment(tree, _INHERITED), **OFFLINE},
            start_new_session=True,
            preexec_fn=tied_to_this_process(),  # noqa: PLW1509 - the child makes two system calls, no lock is taken
        )
    try:
        while process.poll() is None:
            tick()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_TICK_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode


def _judge(status: int, target: Path, log_path: Path) -> None:
    if status == _KILLED:
        raise NotEnoughMemory("The conversion of the model was killed, most likely for lack of memory.")
    if status != 0:
        raise ConversionFailed(
            f"The conversion of the model ended with exit status {status}.",
            remedy=f"{log_path} has the reason; run the same command again.",
        )
    missing = [name for name in REQUIRED if not (target / name).is_file()]
    if missing:
        raise ConversionFailed(f"The conversion of the model left out {missing[0]}.")
    refused = manifest.problems(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    if refused:
        raise ConversionFailed(f"The conversion of the model wrote a file that is refused: {refused[0]}.")
