"""``appliance engine``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Annotated

import typer

from appliance import logs, settings
from appliance.cli import signature, state
from appliance.cli.state import StateDir
from appliance.core.backoff import Backoff
from appliance.core.liveness import Limits
from appliance.engine import command, environment, hardware, model, profiles, vllm_build
from appliance.engine.claim import Claim
from appliance.engine.command import LaunchLine
from appliance.engine.control import Control, Terms
from appliance.engine.hardware import Hardware
from appliance.engine.model import Model
from appliance.engine.profiles import Profile
from appliance.engine.supervisor import Plan, Supervisor
from appliance.errors import ModelUnusable, StateUnusable
from appliance.notify import Notifier
from appliance.settings import Settings

log = logs.get(__name__)

#: A log file larger than this is set aside (one generation) when the engine starts.
MAX_LOG_BYTES = 16 * 1024**2


def run(
    state_dir: StateDir = None,
    no_restart: Annotated[bool, typer.Option("--no-restart", help="End when the engine ends, with exit 70.")] = False,
    start_attempts: Annotated[
        int, typer.Option(min=0, help="Give up after so many starts without one token; 0 for never.")
    ] = 0,
    log_file: Annotated[Path | None, typer.Option(help="File for vLLM's own output instead of stderr.")] = None,
    print_command: Annotated[
        bool, typer.Option("--print-command", help="Print the launch line and its environment, start nothing.")
    ] = False,
) -> None:
    """Run vLLM on its Unix socket, watch it by real generations and restart it when it dies or hangs.

    Example: appliance engine --state-dir ./.state/demo --log-file engine.log
    """
    tree = state.load(state_dir)
    logs.configure(tree.log)
    device = hardware.detect(tree.engine.device)
    vllm_build.require(vllm_build.installed(), device)
    profile = profiles.choose(device, tree.engine.profile)
    log.info("hardware found", device=device.name, gpu=device.kind, profile=profile.name, bytes=device.memory_bytes)
    if print_command:
        checked = model.read(tree.model_dir, tree.engine.served_model_name, check_digests=False)
        typer.echo(command.build(checked, profiles.adapt(profile, checked.engine.get(profile.name)), tree).shell())
        return
    planner = _Planner(tree, device, profile, restart=not no_restart, start_attempts=start_attempts)
    plan = planner.plan(tree.model_dir)
    with Claim(tree.socket_path) as claim, _output(log_file) as output:
        asyncio.run(_supervise(plan, planner, claim, output))


async def _supervise(plan: Plan, planner: _Planner, claim: Claim, output: IO[bytes] | None) -> None:
    tree = planner.tree
    supervisor = Supervisor(plan, claim, Notifier(settings.notify_socket()), output)
    terms = Terms(
        control_path=tree.control_path,
        switching_path=tree.switching_path,
        active=lambda: tree.model_dir.resolve() if tree.model_dir.is_dir() else None,
        plan=planner.installed,
    )
    control = asyncio.create_task(Control(terms, supervisor, claim).run())
    try:
        await supervisor.run()
    finally:
        control.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await control


@dataclass(frozen=True)
class _Planner:
    """Makes the plan to serve a model directory on this machine, after every check.

    Args:
        tree: the settings.
        device: the hardware, as found before any engine ran.
        profile: chosen for it.
        restart: whether an end that nobody asked for is followed by a restart.
        start_attempts: see :class:`Plan`.
    """

    tree: Settings
    device: Hardware
    profile: Profile
    restart: bool
    start_attempts: int

    def installed(self, directory: Path) -> Plan:
        """The plan for a bundle that the running engine is told to change to."""
        if directory.resolve().parent != self.tree.bundles_dir.resolve():
            raise ModelUnusable(f"{directory} is not an installed bundle.", remedy="Install it first.")
        return self.plan(directory)

    def plan(self, directory: Path) -> Plan:
        """The plan for a directory; raises whatever is wrong with it or the machine."""
        whole = signature.check(directory, self.tree)
        checked = model.read(directory, self.tree.engine.served_model_name, check_digests=not whole)
        profile = profiles.adapt(self.profile, checked.engine.get(self.profile.name))
        command.require_memory(checked, profile, self.tree, self.device)
        plan = _plan(self.tree, checked, command.build(checked, profile, self.tree), profile)
        return replace(plan, restart=self.restart, start_attempts=self.start_attempts)


def _plan(tree: Settings, checked: Model, line: LaunchLine, profile: Profile) -> Plan:
    engine = tree.engine
    return Plan(
        line=line,
        model=checked.name,
        socket_path=tree.socket_path,
        home_dir=environment.home_dir(tree),
        temporary_dir=environment.temporary_dir(tree),
        limits=Limits(engine.startup_timeout_seconds, engine.probe_timeout_seconds),
        probe_interval_seconds=engine.probe_interval_seconds,
        grace_seconds=engine.shutdown_grace_seconds,
        backoff=Backoff(engine.restart_backoff_seconds, engine.restart_backoff_max_seconds),
        watchdog_seconds=settings.watchdog_seconds(),
        drain_seconds=engine.drain_seconds,
        note=lambda claim: claim.note_sequences(tree.sequences_path, profile.max_num_seqs.value),
    )


@contextmanager
def _output(file: Path | None) -> Iterator[IO[bytes] | None]:
    if file is None:
        yield None
        return
    try:
        if file.is_file() and file.stat().st_size > MAX_LOG_BYTES:
            file.replace(file.with_name(file.name + ".1"))
        opened = file.open("ab")
    except OSError as err:
        raise StateUnusable(
            f"The log file {file} cannot be written: {err.strerror}.", remedy="Name another with --log-file."
        ) from None
    with opened:
        yield opened
