"""The arrows between the packages hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_imports_point_inward_only() -> None:
    # In a process of its own: import-linter changes sys.path and the working directory's cache.
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kept, 0 broken" in done.stdout


def test_only_settings_reads_the_environment() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "appliance").rglob("*.py")
        if any(text in path.read_text(encoding="utf-8") for text in ("os.environ", "getenv("))
    }
    assert readers <= {"appliance/settings.py"}
