"""The supervisor: keeps one engine serving, restarts it when it dies or hangs, stops it on request.

vLLM may exit 0 on an unexpected death, so every end that nobody asked for is
followed by a restart. A hung engine gets no grace: it is killed at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from appliance import logs
from appliance.core.backoff import Backoff
from appliance.core.liveness import Limits, Phase
from appliance.engine import drain, processes
from appliance.engine.child import KEEPER_SECONDS, Child
from appliance.engine.claim import Claim
from appliance.engine.command import LaunchLine
from appliance.engine.watch import Watch
from appliance.errors import EngineStartFailed, EngineStopped, StateUnusable
from appliance.notify import Notifier

log = logs.get(__name__)

_WORDS = {
    Phase.DEAD: "died",
    Phase.HUNG: "hangs",
    Phase.START_TIMED_OUT: "did not start in time",
}


@dataclass(frozen=True)
class Plan:
    """What to run and how to watch it.

    Args:
        line: vLLM's arguments and environment.
        model: served name, for the probe.
        socket_path: the engine's Unix socket.
        home_dir: the engine's own directory, made if it is missing.
        temporary_dir: emptied before each start if it is below ``home_dir``.
        limits: the longest waits for tokens.
        probe_interval_seconds: pause between probes.
        grace_seconds: how long a stop in order may take.
        backoff: waits between restarts.
        restart: whether an end that nobody asked for is followed by a restart.
        start_attempts: give up after that many starts without one token, as long as it never served; 0 for never.
        watchdog_seconds: the service manager's watchdog time-out, if any.
        drain_seconds: how long running answers may finish before another plan takes over.
        note: called before each start, with the claim: notes for the gateway.
    """

    line: LaunchLine
    model: str
    socket_path: Path
    home_dir: Path
    temporary_dir: Path
    limits: Limits
    probe_interval_seconds: float
    grace_seconds: float
    backoff: Backoff
    restart: bool = True
    start_attempts: int = 0
    watchdog_seconds: float | None = None
    drain_seconds: float = 0.0
    note: Callable[[Claim], None] = lambda _: None


@dataclass
class _Change:
    """Another plan that was asked for, what to go back to, and who waits for its first token."""

    plan: Plan
    fallback: Plan | None
    served: asyncio.Future[None]


class Supervisor:
    """Runs a plan. Its process becomes a subreaper and must have no other children.

    Args:
        plan: what to run.
        claim: the claim on the plan's socket, held by the caller.
        notifier: where the service manager is told.
        output: where vLLM's output goes; None for standard error.
    """

    def __init__(self, plan: Plan, claim: Claim, notifier: Notifier, output: IO[bytes] | None = None) -> None:
        self._plan = plan
        self._claim = claim
        self._notifier = notifier
        self._output = output
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()  # a stop or a change is asked for
        self._next: _Change | None = None
        self._trial: _Change | None = None
        self._stop_signal = signal.SIGTERM
        self._child: Child | None = None
        self._started_at = 0.0

    @property
    def plan(self) -> Plan:
        """The plan that runs."""
        return self._plan

    async def change(self, plan: Plan, fallback: Plan | None = None) -> None:
        """Run another plan: the engine finishes what it has and stops, the new one starts on the same socket.

        Return when it has generated its first token. One change at a time.

        Args:
            plan: what to run.
            fallback: what to run again if it ends before that; without one it is started until it serves.

        Raises:
            EngineStartFailed: it ended before its first token, and the fallback is being started.
            EngineStopped: the whole supervisor stops.
        """
        change = self._next = _Change(plan, fallback, asyncio.get_running_loop().create_future())
        self._wake.set()
        await change.served

    async def serving(self) -> None:
        """Wait until the engine that is being started in place of another has generated a token.

        Raises:
            EngineStopped: the whole supervisor stops.
        """
        if self._trial is not None:
            await self._trial.served

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; return when the last process of the engine is gone.

        Raises:
            EngineStartFailed: without restarts, or after the last start attempt, when no token was ever generated.
            EngineStopped: without restarts, when it served and then died or hung.
            AlreadyRunning: something else listens on the socket after a run.
            StateUnusable: the engine's directory cannot be written.
        """
        processes.become_subreaper()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            await self._run_plans()
        finally:
            for change in (self._next, self._trial):
                if change is not None and not change.served.done():
                    change.served.set_exception(EngineStopped("The engine was stopped while its model was changed."))
                    change.served.exception()  # nobody may be waiting any more

    async def _run_plans(self) -> None:
        backoff = self._plan.backoff
        attempts = 0
        while True:
            phase, served_seconds, status = await self._one_run()
            if self._stop.is_set():
                return
            if self._takes_over(phase, served_seconds, status):
                backoff, attempts = self._plan.backoff, 0
                continue
            backoff = backoff.after_failure(served_seconds)
            log.error(
                "engine stopped unexpectedly",
                reason=phase.value,
                exit_status=status,
                duration_seconds=round(served_seconds, 1),
                delay_seconds=backoff.delay_seconds,
            )
            # Once it has served, an engine is worth any number of starts.
            attempts = attempts + 1 if served_seconds == 0 and attempts >= 0 else -1
            if not self._plan.restart or attempts == self._plan.start_attempts > 0:
                raise self._failure(phase, served_seconds, status)
            self._notifier.status(f"The engine {_WORDS[phase]}; next start in {backoff.delay_seconds:.0f} s")
            await self._wait(backoff.delay_seconds)
            if self._stop.is_set():
                return
            if self._takes_over(phase, served_seconds, status):
                backoff, attempts = self._plan.backoff, 0

    def _takes_over(self, phase: Phase, served_seconds: float, status: int) -> bool:
        """Whether another plan is to run now: one that was asked for, or the one before a trial that failed."""
        if self._next is not None:
            self._trial, self._next = self._next, None
            self._wake.clear()
            self._plan = self._trial.plan
            return True
        if self._trial is None or self._trial.fallback is None or served_seconds > 0:
            return False
        failed, self._plan = self._trial, self._trial.fallback
        self._trial = _Change(self._plan, None, asyncio.get_running_loop().create_future())
        failed.served.set_exception(self._failure(phase, served_seconds, status))
        return True

    async def _one_run(self) -> tuple[Phase, float, int]:
        """Start, watch and end one engine: the verdict, how long it served, its exit status."""
        plan = self._plan
        _prepare(plan)
        plan.note(self._claim)
        self._notifier.status(f"Loading {plan.model}")
        # The watchdog must not fire while a model loads; what takes longer is ended by our own limit.
        if plan.watchdog_seconds is not None:
            self._notifier.patience(plan.limits.startup_seconds + plan.backoff.max_seconds + 2 * KEEPER_SECONDS)
        self._started_at = time.monotonic()
        child = self._child = Child(plan.line, self._claim.fileno(), self._output)
        log.info("engine starting", model=plan.model, child_pid=child.pid, socket=str(plan.socket_path))
        watch = Watch(plan.socket_path, plan.model, plan.limits, plan.probe_interval_seconds, self._on_alive)
        phase, status = Phase.DEAD, -1
        try:
            phase = await watch.verdict(lambda: child.has_exited, self._wake)
            if self._next is not None and not phase.is_over:
                await self._hand_over(child)
            if self._stop.is_set():
                log.info("engine stopping", signal=self._stop_signal.name)
                self._notifier.stopping()
                await child.stop(self._stop_signal, plan.grace_seconds)
        finally:
            status = await child.end()
            self._child = None
            self._claim.clear()
        return phase, watch.seen.served_seconds(time.monotonic()), status

    async def _hand_over(self, child: Child) -> None:
        """Let the engine finish what it has, and stop it."""
        plan = self._plan
        log.info("engine finishing", model=plan.model)
        self._notifier.status(f"Finishing with {plan.model}, to change the model")
        if plan.watchdog_seconds is not None:  # nobody proves its life meanwhile
            self._notifier.patience(plan.drain_seconds + plan.grace_seconds + 2 * KEEPER_SECONDS)
        idle = await drain.until_idle(plan.socket_path, plan.drain_seconds, self._stop.is_set)
        log.info("engine stopping", model=plan.model, reason="idle" if idle else "not idle in time")
        if not self._stop.is_set():
            await child.stop(signal.SIGTERM, plan.grace_seconds)

    def _on_alive(self, first: bool) -> None:
        if not first:
            self._notifier.alive()
            return
        if self._trial is not None:
            trial, self._trial = self._trial, None
            trial.served.set_result(None)
        seconds = time.monotonic() - self._started_at
        self._claim.restrict()
        log.info("engine ready", model=self._plan.model, duration_seconds=round(seconds, 1))
        self._notifier.ready()
        self._notifier.status(f"Serving {self._plan.model}")
        if self._plan.watchdog_seconds is not None:
            self._notifier.patience(self._plan.watchdog_seconds)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            # Asked twice: whoever waits does not want to.
            if self._child is not None:
                self._child.abandon()
            return
        self._stop_signal = number
        self._stop.set()
        self._wake.set()

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _failure(self, phase: Phase, served_seconds: float, status: int) -> EngineStartFailed | EngineStopped:
        how = f"exit status {status}" if phase is Phase.DEAD else "it was ended"
        if served_seconds > 0:
            return EngineStopped(f"The engine {_WORDS[phase]} after {served_seconds:.0f} s of service ({how}).")
        seconds = time.monotonic() - self._started_at
        return EngineStartFailed(f"The engine {_WORDS[phase]} before its first token, after {seconds:.0f} s ({how}).")


def _prepare(plan: Plan) -> None:
    """Make the engine's directory, and empty its temporary one of what a killed engine left."""
    try:
        plan.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if plan.temporary_dir.is_relative_to(plan.home_dir):
            shutil.rmtree(plan.temporary_dir, ignore_errors=True)
            plan.temporary_dir.mkdir(mode=0o700, exist_ok=True)
    except OSError as err:
        raise StateUnusable(f"The engine's directory {plan.home_dir} cannot be written: {err.strerror}.") from None
