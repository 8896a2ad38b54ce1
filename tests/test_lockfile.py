"""A file that one process at a time holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import lockfile

HOLD = """
import sys
from pathlib import Path
from appliance import lockfile
held = lockfile.acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_second_holder_is_refused_and_told_whose_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with lockfile.acquire(path):
        with pytest.raises(BlockingIOError):
            lockfile.acquire(path)
        assert lockfile.holder(path) == str(os.getpid())
    lockfile.acquire(path).close()


@pytest.mark.process
def test_kernel_lets_go_when_the_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError):
            lockfile.acquire(path)
        other.kill()
        other.wait()
    lockfile.acquire(path).close()


def test_file_that_cannot_be_made_is_an_os_error_and_no_holder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        lockfile.acquire(tmp_path / "file" / "lock")
    assert lockfile.holder(tmp_path / "none") == "unknown"
