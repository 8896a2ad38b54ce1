"""Claims about ``health.host``."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.cli import this_host
from appliance.health import host
from appliance.settings import Settings


def test_a_command_says_what_it_prints_or_why_it_does_not() -> None:
    assert host.ask(("echo", "yes")).text == "yes\n"
    assert host.ask(("no-such-program",)).problem == "no-such-program is not installed"
    assert host.ask(("ls", "/no/such/file")).problem.startswith("ls: ")
    assert not host.ask(("ls", "/no/such/file")).text


def test_a_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "DEADLINE_SECONDS", 0.01)
    assert host.ask(("sleep", "5")).problem == "sleep did not answer in time"


def test_the_engine_of_this_state_directory_is_told_from_anothers(state_dir: Path) -> None:
    ours, theirs = (Settings(state_dir=state_dir / name) for name in ("ours", "theirs"))
    program = "print('up', flush=True); input()"
    words = ["vllm.entrypoints.openai.api_server", "--uds", str(ours.socket_path)]
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            found = this_host.look(ours).engine()
            assert found is not None
            assert found.pid == process.pid
            assert this_host.look(theirs).engine() is None
        finally:
            process.communicate(b"\n")


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("/opt/appliance/venv/bin/python", "/opt/appliance/venv/bin/appliance", "gateway"), "gateway"),
        (("python", "-m", "appliance", "engine", "--state-dir", "/x"), "engine"),
        (("python", "-P", "-m", "appliance.exporter"), "exporter"),
        (("vi", "appliance/gateway/app.py"), ""),
        (("appliance", "report"), ""),
    ],
)
def test_the_appliances_processes_are_known_by_their_command(state_dir: Path, argv: tuple[str, ...], name: str) -> None:
    (state_dir / "proc" / "7").mkdir(parents=True)
    (state_dir / "proc" / "7" / "cmdline").write_text("".join(f"{word}\0" for word in argv))
    seen = replace(this_host.look(Settings(state_dir=state_dir)), root=state_dir)
    assert [process.name for process in seen.processes()] == ([name] if name else [])


def test_words_of_a_process_are_read_from_proc() -> None:
    assert host.arguments(Path(f"/proc/{os.getpid()}/cmdline"))[0]
