"""A network namespace of a test's own, in which real nft may load and drop what it likes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def namespace() -> Iterator[tuple[str, ...]]:
    """The words before a command that is to run in it; skips the test where none can be made."""
    for program in ("nft", "unshare", "nsenter"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{program} is missing: apt-get install nftables util-linux")
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    # cat holds it open until its input ends.
    held = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo held; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with held:
        assert held.stdin is not None
        assert held.stdout is not None
        try:
            if held.stdout.readline() != b"held\n":
                pytest.skip("this machine makes no network namespace")
            inside = ("nsenter", f"--net=/proc/{held.pid}/ns/net")
            if subprocess.run([*inside, "nft", "list", "tables"], capture_output=True, check=False).returncode:
                pytest.skip("nft does not work here: the kernel has no nf_tables, or forbids them")
            yield inside
        finally:
            held.stdin.close()
