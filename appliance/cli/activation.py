"""Puts an installed bundle in use: on a running engine after its golden questions, else for the next start."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from appliance.bundles import golden, installed
from appliance.bundles.golden import Failure
from appliance.bundles.verify import Verified
from appliance.cli import checkers
from appliance.cli.engine_control import EngineControl, failure
from appliance.cli.steps import Step, Steps
from appliance.core.manifest import Manifest
from appliance.engine import hardware
from appliance.errors import GoldenFailed, HardwareMissing, ModelChangeFailed, ModelUnusable, NotEnoughMemory
from appliance.settings import Settings

_STEPS = 4


@dataclass(frozen=True)
class Activated:
    """What an activation came to.

    Args:
        manifest: of the bundle in use.
        was_running: whether an engine was changed to it; else it serves from the next start on.
        questions: golden questions that were asked and answered right.
        seconds: how long it took.
    """

    manifest: Manifest
    was_running: bool
    questions: int
    seconds: float

    def view(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "name": self.manifest.name,
            "version": self.manifest.version,
            "serving": self.was_running,
            "golden_questions": self.questions,
            "seconds": round(self.seconds, 1),
        }


def activate(tree: Settings, bundle: Verified) -> Activated:
    """Put a verified bundle in use. The caller holds :func:`installed.change`.

    Raises:
        GoldenFailed: it answered a golden question wrong; the old model serves on.
        ModelChangeFailed: the running engine did not take it; the old model serves on.
        ModelUnusable: the settings name another directory than the link ``active``.
    """
    if tree.model_dir != tree.state_dir.absolute() / "active":
        raise ModelUnusable(
            "The settings name a model directory of their own.",
            remedy="Remove engine.model_dir from the settings; then `active` says what is served.",
        )
    began = time.monotonic()
    try:
        control = EngineControl(tree.control_path)
    except ConnectionError:
        _require_memory(tree, bundle.manifest)
        installed.activate(tree, bundle.directory)
        return Activated(bundle.manifest, was_running=False, questions=0, seconds=time.monotonic() - began)
    with control:
        questions = _change(control, tree, bundle)
    return Activated(bundle.manifest, was_running=True, questions=questions, seconds=time.monotonic() - began)


def _require_memory(tree: Settings, stated: Manifest) -> None:
    """Refuse a bundle that says it needs more than this machine has; a running engine judges more closely.

    Raises:
        NotEnoughMemory: it does.
    """
    try:
        device = hardware.detect(tree.engine.device)
    except HardwareMissing:
        return  # a box that is being set up, before its driver is
    needed = stated.min_host_bytes if device.kind == "cpu" else stated.min_gpu_bytes
    if needed > device.memory_bytes:
        raise NotEnoughMemory(
            f"The model {stated.name} needs {needed // 2**20} MiB of memory, {device.memory_bytes // 2**20} MiB are there."
        )


def _change(control: EngineControl, tree: Settings, bundle: Verified) -> int:
    """Let the running engine change to the bundle; how many golden questions it answered right."""
    asked = golden.questions(bundle.directory, bundle.manifest, checkers.CHECKERS)
    steps, happening = Steps(_STEPS), control.steps()
    control.load(bundle.directory)
    with steps.step("Check that the model can be served here") as step:
        _wait(happening, "finishing", step)
    with steps.step("Let the old model finish, load the new one; new requests wait") as step:
        loaded = _wait(happening, "serving", step)
    failures: list[Failure] = []
    with steps.step(f"Ask its {len(asked)} golden questions") as step:
        if loaded["step"] == "serving":
            failures = golden.ask(
                tree.socket_path, str(loaded["model"]), asked, checkers.CHECKERS, lambda _: step.tick()
            )
            step.outcome = f"{len(asked) - len(failures)} right"
            if not failures:
                installed.activate(tree, bundle.directory)
            control.decided()
    back = loaded["step"] == "failed" or bool(failures)
    with steps.step("Go back to the old model" if back else "Let the requests pass that waited") as step:
        settled = _wait(happening, "settled", step)
    if loaded["step"] == "failed":
        raise failure(loaded)
    if failures:
        first = failures[0]
        raise GoldenFailed(
            f"The new model failed {len(failures)} of {len(asked)} golden questions; "
            f"the first is {first.question!r}: the answer {first.what}."
        )
    if not settled.get("kept"):
        raise ModelChangeFailed("The engine went back to the old model.")
    return len(asked)


def _wait(happening: Any, name: str, step: Step) -> dict[str, Any]:
    """The step of that name, or ``failed``."""
    for one in happening:
        step.tick()
        if one.get("step") in (name, "failed"):
            return dict(one)
    raise ModelChangeFailed
