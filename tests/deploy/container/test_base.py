"""The base of the image: how mmdebstrap is called, and what is said when it cannot be."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from deploy.container import base


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """mmdebstrap's command lines; it writes an archive and succeeds, unless the list is given a failure first."""
    lines: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        lines.append(command)
        archive = next(Path(word) for word in command if word.endswith(".making"))
        with tarfile.open(archive, "w") as tar:
            for name in (
                "./etc/",
                "./etc/passwd",
                "./etc/passwd-",
                "./etc/hostname",
                "./dev/null",
                "./var/log/",
                "./var/log/dpkg.log",
            ):
                member = tarfile.TarInfo(name.rstrip("/"))
                member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
                tar.addfile(member)
        return subprocess.CompletedProcess(
            command, int(archive.name == ".bad.tar.making"), "", "I: so far\nE: no mirror\n"
        )

    monkeypatch.setattr(base.shutil, "which", lambda _: "/usr/bin/mmdebstrap")
    monkeypatch.setattr(base.subprocess, "run", run)
    return lines


def test_base_is_of_today_with_security_and_without_manuals(called: list[list[str]], tmp_path: Path) -> None:
    assert base.main(["--out", str(tmp_path / "base.tar")]) == 0
    (line,) = called
    assert {"--variant=minbase", "--format=tar", "bookworm", "--dpkgopt=path-exclude=/usr/share/man/*"} <= set(line)
    assert any(word.startswith("deb ") and "bookworm-security" in word for word in line)
    assert [path.name for path in tmp_path.iterdir()] == ["base.tar"]
    with tarfile.open(tmp_path / "base.tar") as tar:
        assert tar.getnames() == ["./etc", "./etc/passwd", "./var/log"]


def test_failure_is_one_line_and_leaves_nothing(called: list[list[str]], tmp_path: Path, capsys) -> None:
    assert base.main(["--out", str(tmp_path / "bad.tar")]) == 1
    assert capsys.readouterr().err == "error: The base of the image cannot be made: E: no mirror\n"
    assert list(tmp_path.iterdir()) == []


def test_missing_program_is_named_with_the_command_that_brings_it(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(base.shutil, "which", lambda _: None)
    assert base.main(["--out", str(tmp_path / "base.tar")]) == 1
    assert "apt-get install -y mmdebstrap" in capsys.readouterr().err
