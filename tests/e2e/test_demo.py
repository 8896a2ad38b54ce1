"""Claims about ``appliance demo`` with the real model and the real engine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from appliance import settings
from appliance.bundles import prepare, recipes
from appliance.engine import processes
from tests.e2e.conftest import APPLIANCE, clean_environment, free_port, wait_until_ready


@pytest.fixture(scope="module")
def fresh(prepared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory that holds nothing but the downloaded wheel."""
    state_dir = tmp_path_factory.mktemp("demo")
    wheel = recipes.read().wheel.path
    (state_dir / "cache").mkdir()
    if (prepared_state / "cache" / wheel).is_file():
        os.link(prepared_state / "cache" / wheel, state_dir / "cache" / wheel)
    return state_dir


@pytest.fixture
def serving(fresh: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A demo that keeps serving, and its port."""
    port = free_port()
    environment = clean_environment(APPLIANCE_GATEWAY__PORT=str(port))
    process = subprocess.Popen([*APPLIANCE, "demo", "--state-dir", str(fresh)], env=environment, stdout=subprocess.PIPE)
    try:
        yield process, port
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(120)
        assert process.stdout
        process.stdout.close()


def test_from_a_wheel_to_an_answer_and_nothing_left_running(fresh: Path) -> None:
    environment = clean_environment(APPLIANCE_GATEWAY__PORT=str(free_port()))

    demo = subprocess.run(
        [*APPLIANCE, "demo", "--once", "--state-dir", str(fresh)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert demo.returncode == 0, demo.stderr
    assert re.search(r"^base_url  http://127\.0\.0\.1:\d+/v1$", demo.stdout, re.MULTILINE)
    assert re.search(r"^curl      curl -sS ", demo.stdout, re.MULTILINE)
    assert int(re.findall(r"(\d+) tokens", demo.stderr)[0]) > 0
    assert prepare.find(recipes.read(), settings.load(state_dir=fresh)).whole
    assert (fresh / "active" / "bundle.sig").is_file()
    assert _processes_of(fresh) == []


def test_the_second_run_reuses_everything_serves_apps_and_ends_whole_with_ctrl_c(fresh: Path, serving) -> None:
    process, port = serving
    wait_until_ready(f"http://127.0.0.1:{port}", process)
    printed = _read_until(process, "curl")
    key = re.findall(r"^api_key   (\S+)$", printed, re.MULTILINE)[0]

    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key) as client:
        answer = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "What is 2 + 2?"}], max_tokens=8
        )
    below = processes.descendants(process.pid)
    process.send_signal(signal.SIGINT)

    assert answer.choices[0].message.content
    assert answer.model == recipes.EMBEDDED
    assert key == (fresh / "demo-key").read_text().strip()
    assert process.wait(120) == 130
    assert len(below) >= 3
    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
    assert not (fresh / "cache" / "SmolLM2-135M-Instruct.Q4_1.gguf").exists()


def _read_until(process: subprocess.Popen[bytes], start: str) -> str:
    lines: list[str] = []
    assert process.stdout
    while not lines or not lines[-1].startswith(start):
        line = process.stdout.readline().decode()
        assert line, "it ended"
        lines.append(line)
    return "".join(lines)


def _processes_of(state_dir: Path) -> list[str]:
    """Command lines of running processes that name the state directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(str(state_dir) in word for word in words):
            found.append(" ".join(words))
    return found
