"""Real vLLM with the real Llama under ``appliance engine``: killed without orphans, hung and replaced, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from appliance.bundles import recipes
from appliance.engine import probe, processes
from tests.e2e.conftest import APPLIANCE, clean_environment, served_from
from tests.engine.supervised_engine import alive, until

SHARED_MEMORY = Path("/dev/shm")
READY_SECONDS = 400


@pytest.fixture
def engine(prepared_state, state_dir):
    """A started ``appliance engine`` that has generated a token; its process."""
    with (state_dir / "supervisor.log").open("wb") as log:
        process = subprocess.Popen(
            [*APPLIANCE, "engine", "--state-dir", str(state_dir), "--log-file", str(state_dir / "vllm.log")],
            stdout=log,
            stderr=log,
            env=clean_environment(**served_from(prepared_state)),
        )
    wait_ready(process, state_dir)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


def test_no_vllm_process_survives_sigkill_of_the_supervisor(engine, state_dir):
    below = processes.descendants(engine.pid)
    assert len(below) >= 4  # keeper, API server, EngineCore, Worker
    segments = shared_memory(below)
    assert segments
    engine.send_signal(signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in below), "every process gone", seconds=30)
    assert not [segment for segment in segments if segment.exists()]


def test_stop_signal_ends_vllm_in_order_and_no_log_holds_content(engine, state_dir):
    below = processes.descendants(engine.pid)
    ask(state_dir, "the secret of the pupil is 4711")
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(timeout=60) == 0
    assert not any(alive(pid) for pid in below)
    assert not (state_dir / "run" / "engine.sock").exists()
    for log in ("vllm.log", "supervisor.log"):
        assert "secret of the pupil" not in (state_dir / log).read_text()


def test_hung_engine_core_is_noticed_and_replaced(engine, state_dir):
    core = next(pid for pid in processes.descendants(engine.pid) if "EngineCore" in command_line(pid))
    os.kill(core, signal.SIGSTOP)
    until(lambda: '"reason": "hung"' in (state_dir / "supervisor.log").read_text(), "the hang noticed", seconds=60)
    wait_ready(engine, state_dir, times=2)
    assert not alive(core)


def wait_ready(process, state_dir, times=1):
    log = state_dir / "supervisor.log"
    until(
        lambda: process.poll() is not None or log.read_text().count("engine ready") >= times,
        f"ready: {log.read_text()}",
        seconds=READY_SECONDS,
    )
    assert process.poll() is None, log.read_text()


def ask(state_dir, prompt):
    body = json.dumps({"model": recipes.EMBEDDED, "prompt": prompt, "max_tokens": 4, "ignore_eos": True}).encode()
    head = (
        "POST /v1/completions HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = asyncio.run(probe._exchange(state_dir / "run" / "engine.sock", head.encode() + body))
    assert json.loads(answer)["usage"]["completion_tokens"] == 4


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def shared_memory(pids):
    return set().union(*(processes._shared_memory(pid) for pid in pids))
