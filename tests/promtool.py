"""promtool (Debian's package ``prometheus``) as the judge of an exposition."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def complaints(text: bytes) -> list[str]:
    """What ``promtool check metrics`` says about a text; skips the test where it is not installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    lines = (checked.stdout + checked.stderr).decode().splitlines()
    return lines or ([f"exit status {checked.returncode}"] if checked.returncode else [])
