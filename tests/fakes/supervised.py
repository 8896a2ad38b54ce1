"""Runs the real supervisor over the fake vLLM in a process of its own, so that tests can kill it.

``python supervised.py STATE_DIR [OPTIONS_AS_JSON]``; short limits, otherwise the production code.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from appliance import logs, settings
from appliance.core.backoff import Backoff
from appliance.core.liveness import Limits
from appliance.engine import drain, watch
from appliance.engine.claim import Claim
from appliance.engine.command import LaunchLine
from appliance.engine.control import Control, Terms
from appliance.engine.supervisor import Plan, Supervisor
from appliance.errors import ApplianceError, ModelUnusable
from appliance.notify import Notifier

# The production code with a clock that runs faster.
PROBE_SECONDS = 1.0
watch.RETRY_SECONDS = 0.05
watch.SAMPLE_SECONDS = 0.2
watch.TICK_SECONDS = 0.05
drain.SETTLE_SECONDS = 0.1
drain.POLL_SECONDS = 0.02

FAKE = Path(__file__).with_name("vllm_process.py")


def plan(state: Path, options: dict, control: Path | None = None) -> Plan:
    sock = state / "run" / "engine.sock"
    return Plan(
        line=LaunchLine((sys.executable, str(FAKE), str(sock), str(control or state)), {"PATH": os.environ["PATH"]}),
        model="fake",
        socket_path=sock,
        home_dir=state / "engine",
        temporary_dir=state / "engine" / "tmp",
        limits=Limits(startup_seconds=options.get("startup", 20.0), probe_seconds=PROBE_SECONDS),
        probe_interval_seconds=0.1,
        grace_seconds=options.get("grace", 10.0),
        backoff=Backoff(0.05, 0.2),
        restart=options.get("restart", True),
        start_attempts=options.get("start_attempts", 0),
        watchdog_seconds=settings.watchdog_seconds(),
        drain_seconds=options.get("drain", 10.0),
    )


def terms(state: Path, options: dict) -> Terms:
    """Changes to a directory run the fake with ``state/fake/<its name>`` as its control directory."""
    tree = settings.load(state_dir=state)

    def planned(directory: Path) -> Plan:
        if directory.resolve().parent != tree.bundles_dir:
            raise ModelUnusable("That is no installed bundle.")
        return plan(state, options, state / "fake" / directory.name)

    return Terms(tree.control_path, tree.switching_path, (state / "active").resolve, planned)


async def serve(state: Path, options: dict) -> None:
    with Claim(state / "run" / "engine.sock", wait_seconds=1.0) as claim:
        first = state / "fake" / (state / "active").resolve().name
        started = plan(state, options, first if first.is_dir() else None)
        supervisor = Supervisor(started, claim, Notifier(settings.notify_socket()))
        control = asyncio.create_task(Control(terms(state, options), supervisor, claim).run())
        try:
            await supervisor.run()
        finally:
            control.cancel()


if __name__ == "__main__":
    logs.configure(settings.LogSettings(format="json"))
    try:
        asyncio.run(serve(Path(sys.argv[1]), json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}))
    except ApplianceError as err:
        sys.stderr.write(f"error: {err}\n")
        sys.exit(err.exit_code)
