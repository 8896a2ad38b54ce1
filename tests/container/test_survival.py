"""What the containers do when something ends: the engine's process, a whole container, the day's work."""

from __future__ import annotations

import os
import signal
import time

import httpx

from tests.container.conftest import START_SECONDS, Box, first_answer
from tests.container.podman import podman, until

SERVER, KEEPER = "vllm.entrypoints.openai.api_server", "appliance.engine.keeper"


def server(box: Box) -> int:
    """vLLM's first process, as this machine numbers it."""
    lines = box.engine.processes().items()
    return min((number for number, line in lines if f"-m {SERVER}" in line and KEEPER not in line), default=0)


def refused(box: Box) -> bool:
    with httpx.Client(trust_env=False, timeout=10) as client:
        return client.get(box.base_url.replace("/v1", "/health/ready")).status_code == 503


def test_killed_engine_is_back_in_service(box: Box) -> None:
    before = server(box)
    os.kill(before, signal.SIGKILL)
    until(lambda: refused(box), 60, box.said)
    until(box.ready, START_SECONDS, box.said)
    first_answer(box)
    assert server(box) not in {0, before}
    assert box.engine.inspect()["RestartCount"] == 0, "the process that watches it started it again, not podman"


def test_killed_gateway_is_started_again(box: Box) -> None:
    before = box.gateway.inspect()["State"]["Pid"]
    os.kill(before, signal.SIGKILL)
    until(lambda: box.gateway.inspect()["State"]["Pid"] not in {0, before}, 60, box.said)
    until(box.ready, 120, box.said)
    first_answer(box)
    assert box.gateway.inspect()["RestartCount"] == 1


def test_containers_stop_on_the_signal_within_their_grace(box: Box) -> None:
    for container in (box.gateway, box.engine):
        grace = container.inspect()["Config"]["StopTimeout"]
        started = time.monotonic()
        podman("stop", container.name, timeout=grace + 60)
        state = container.inspect()["State"]
        # 137 would be the SIGKILL at the end of the grace.
        assert state["ExitCode"] == 0, f"{container.name}: {state}\n{container.logs[-2000:]}"
        print(f"\n{container.name} stopped in {time.monotonic() - started:.1f} s of {grace}")
