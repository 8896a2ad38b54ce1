"""Claims about ``health.open_files``."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.health import open_files

#: Opens the files it is told of, forks a child that opens none, says so and waits for its end.
PROGRAM = """
import subprocess, sys, time
files = [open(name, mode) for mode, name in zip(sys.argv[1::2], sys.argv[2::2])]
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
"""


@contextmanager
def process(*words: object) -> Iterator[tuple[int, int]]:
    """The ids of a process that holds files open and of a child of its."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        try:
            yield parent.pid, int(parent.stdout.readline())
        finally:
            assert parent.stdin is not None
            parent.stdin.write("\n")


def test_processes_are_those_that_hold_a_file_there_and_all_below_them(tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "state-2"
    for directory in (state, other):
        directory.mkdir()
    with process("a", state / "keys") as ours, process("a", other / "keys") as strange:
        found = open_files.processes_of([state])
    assert set(ours) <= set(found)
    assert not set(strange) & set(found)


def test_a_process_that_listens_on_the_socket_is_found(state_dir: Path) -> None:
    path = state_dir / "engine.sock"
    assert os.getpid() not in open_files.processes_of([path])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert os.getpid() in open_files.processes_of([path])
        assert os.getpid() in open_files.processes_of([state_dir])


def test_regular_files_open_for_writing_are_named_and_readable_after_they_were_deleted(tmp_path: Path) -> None:
    log, deleted, only_read = tmp_path / "a.log", tmp_path / "gone.log", tmp_path / "read"
    for path in (deleted, only_read):
        path.write_text("text")
    with process("a", log, "a", deleted, "r", only_read, "w", "/dev/null") as (pid, _):
        deleted.unlink()
        files = {file.name: file.path for file in open_files.written_by(pid)}
        assert set(files) == {f"{log} (open in process {pid})", f"{deleted} (deleted) (open in process {pid})"}
        assert files[f"{deleted} (deleted) (open in process {pid})"].read_text() == "text"


def test_a_process_that_has_ended_writes_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        assert open_files.written_by(process.pid) == []


def test_a_process_of_somebody_elses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> Iterator[Path]:
        raise PermissionError

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(PermissionError):
        open_files.written_by(1)
