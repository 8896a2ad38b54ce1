"""The model is changed under load, on real vLLM: no request fails; a model that fails its golden questions goes again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import pytest

from appliance.bundles import pack, sign
from appliance.cli import demo_question
from appliance.core import manifest
from appliance.core.engine_arguments import EngineArguments
from appliance.core.manifest import Manifest
from appliance.core.sbom import Component
from tests.bundles import signed
from tests.e2e.conftest import APPLIANCE, clean_environment, free_port, wait_until_ready

NAME = "smollm2-135m-tutor"
RIGHT = demo_question.MISTAKE
CLIENTS = 6


def golden(wanted: str) -> str:
    """One question whose answer must contain that; every answer contains nothing."""
    question = {
        "id": "speaks",
        "messages": demo_question.request(NAME)["messages"],
        "max_tokens": 200,
        "checks": [{"name": "contains", "value": wanted}],
    }
    return json.dumps({"format": 1, "questions": [question]})


def bundle(prepared: Path, target: Path, version: str, wanted: str, key: signed.Key) -> Path:
    """A signed bundle of the real model; its weights are not copied."""
    target.mkdir()
    for path in (prepared / "active").resolve().iterdir():
        if path.name not in (manifest.FILE_NAME, manifest.SIGNATURE_NAME):
            # Only the weights are shared: whatever is written anew here must not change the other.
            (os.link if path.suffix == ".safetensors" else shutil.copy)(path, target / path.name)
    (target / "golden.json").write_text(golden(wanted))
    stated = Manifest(
        NAME,
        version,
        base="SmolLM2-135M-Instruct",
        licence="Apache-2.0",
        quantization="none",
        recipe_sha256="00" * 32,
        min_host_bytes=3_000_000_000,
        engine={"cpu": EngineArguments(max_num_seqs=8)},
    )
    pack.seal(target, stated, [Component("machine-learning-model", "SmolLM2-135M-Instruct", "1", "Apache-2.0")])
    sign.directory(target, key.private)
    return target


@dataclass
class Load:
    """Clients that ask without a pause, whole answers and streams in turn, as threads."""

    url: str
    key: str
    stop: threading.Event = field(default_factory=threading.Event)
    answered: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0

    def run(self) -> None:
        with httpx.Client(base_url=self.url, trust_env=False, timeout=600) as client:
            turn = 0
            while not self.stop.is_set():
                turn += 1
                self.ask(client, stream=turn % 2 == 0)

    def ask(self, client: httpx.Client, *, stream: bool) -> None:
        body = {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "Count to ten."}],
            "max_tokens": 12,
            "stream": stream,
        }
        began = time.monotonic()
        try:
            answer = client.post("chat/completions", json=body, headers={"authorization": f"Bearer {self.key}"})
        except httpx.HTTPError as err:
            self.failed.append(repr(err))
            return
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
        whole = answer.text.rstrip().endswith("data: [DONE]") if stream else answer.text.startswith("{")
        if answer.status_code == httpx.codes.OK and whole and '{"error":' not in answer.text:
            self.answered.append(time.monotonic())
        else:
            self.failed.append(f"{answer.status_code} {answer.text[-300:]}")

    def __enter__(self) -> Self:
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Until that many more requests have been answered."""
        goal, deadline = len(self.answered) + count, time.monotonic() + 120
        while len(self.answered) < goal:
            assert time.monotonic() < deadline, "the requests stand still"
            time.sleep(0.1)


@dataclass(frozen=True)
class SwitchBox:
    """A running appliance with three bundles installed: 1.0.0 in use, 2.0.0, and 3.0.0 whose golden question fails."""

    state: Path
    url: str
    environment: dict[str, str]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*APPLIANCE, *words, "--state-dir", str(self.state)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def done(self, *words: str) -> str:
        result = self.command(*words)
        assert result.returncode == 0, result.stderr
        return result.stdout


@pytest.fixture
def switch_box(prepared_state: Path) -> Iterator[SwitchBox]:
    state = Path(tempfile.mkdtemp(prefix="appl-switch-", dir=prepared_state))
    short = Path(tempfile.mkdtemp(prefix="appl-", dir="/tmp"))
    key = signed.make_key(state)
    key.write(state / "trust")
    port = free_port()
    environment = clean_environment(
        APPLIANCE_GATEWAY__PORT=str(port),
        APPLIANCE_GATEWAY__ADMIN_PORT=str(free_port()),
        APPLIANCE_ENGINE__SOCKET_PATH=str(short / "engine.sock"),
    )
    box = SwitchBox(state, f"http://127.0.0.1:{port}/v1/", environment)
    for version, wanted in (("1.0.0", ""), ("2.0.0", ""), ("3.0.0", "서울특별시")):
        box.done("bundle", "install", str(bundle(prepared_state, state / version, version, wanted, key)))
    box.done("bundle", "activate", f"{NAME}-1.0.0")
    process = subprocess.Popen([*APPLIANCE, "serve", "--log-files", "--state-dir", str(state)], env=environment)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield box
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        shutil.rmtree(state)
        shutil.rmtree(short)


def test_no_request_fails_while_the_model_is_changed_and_changed_back(switch_box: SwitchBox) -> None:
    key = json.loads(switch_box.done("keys", "create", "--name", "load", "--json"))["key"]
    with Load(switch_box.url, key) as load:
        load.wait_for(20)
        activated = json.loads(switch_box.done("bundle", "activate", f"{NAME}-2.0.0", "--json"))
        assert (activated["version"], activated["serving"], activated["golden_questions"]) == ("2.0.0", True, 1)
        load.wait_for(20)
        assert (switch_box.state / "active").resolve().name == f"{NAME}-2.0.0"
        refused = switch_box.command("bundle", "activate", f"{NAME}-3.0.0")
        assert refused.returncode == 70
        assert "'speaks'" in refused.stderr
        load.wait_for(20)
        assert (switch_box.state / "active").resolve().name == f"{NAME}-2.0.0"
    print(f"{len(load.answered)} answered, {len(load.failed)} failed, longest {load.longest_seconds:.1f} s", activated)
    assert load.failed == []
