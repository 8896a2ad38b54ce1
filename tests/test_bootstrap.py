"""The setup's decisions: when there is nothing to do, what is half-installed, what a reader is told."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("pip.txt", "torch-cpu.txt", "torch-cuda.txt", "engine-cpu.txt", "dev.txt")
Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - the shape of shutil.disk_usage's answer


@pytest.fixture(scope="module")
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "deploy" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bootstrap"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with locks of one package each."""
    folder = tmp_path / "deploy" / "locks"
    folder.mkdir(parents=True)
    for lock in LOCKS:
        name = Path(lock).stem.replace("-", "_").title()
        (folder / lock).write_text(f"{name}==1.0 \\\n    --hash=sha256:00\n    # via nobody\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def venv(bootstrap: ModuleType, checkout: Path) -> Path:
    """An environment that was set up from the checkout."""
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    bootstrap.write_stamp(venv, bootstrap.wanted_stamp(checkout))
    return venv


def current(bootstrap: ModuleType, venv: Path) -> bool:
    answer: bool = bootstrap.is_current(venv, bootstrap.read_stamp(venv), bootstrap.wanted_stamp(venv.parent))
    return answer


def test_nothing_is_done_twice(bootstrap: ModuleType, venv: Path) -> None:
    assert current(bootstrap, venv)


@pytest.mark.parametrize("file", [*(f"deploy/locks/{lock}" for lock in LOCKS), "pyproject.toml"])
def test_changed_lock_or_project_is_noticed(bootstrap: ModuleType, venv: Path, file: str) -> None:
    with (venv.parent / file).open("a", encoding="utf-8") as lock:
        lock.write("# changed\n")
    assert not current(bootstrap, venv)


def test_environment_whose_python_is_gone_is_noticed(bootstrap: ModuleType, venv: Path) -> None:
    (venv / "bin" / "python").unlink()
    assert not current(bootstrap, venv)


def test_moved_checkout_is_noticed(bootstrap: ModuleType, venv: Path) -> None:
    moved = venv.parent.with_name("moved")
    venv.parent.rename(moved)
    assert not current(bootstrap, moved / ".venv")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"unknown": 1}'])
def test_broken_stamp_counts_as_none(bootstrap: ModuleType, venv: Path, text: str) -> None:
    bootstrap.stamp_path(venv).write_text(text, encoding="utf-8")
    assert bootstrap.read_stamp(venv) == bootstrap.Stamp()
    assert not current(bootstrap, venv)


def test_names_are_read_as_pip_normalises_them(bootstrap: ModuleType, checkout: Path) -> None:
    assert bootstrap.wanted_stamp(checkout).names == ["dev", "engine-cpu"]


def test_half_installed_distribution_is_forgotten_and_a_whole_one_kept(bootstrap: ModuleType, venv: Path) -> None:
    packages = venv / "lib" / "python3.11" / "site-packages"
    for name, whole in (("whole-1.dist-info", True), ("half-1.dist-info", False)):
        (packages / name).mkdir(parents=True)
        (packages / name / "METADATA").touch()
        if whole:
            (packages / name / "INSTALLER").touch()
    assert bootstrap.forget_half_installed(venv) == ["half-1.dist-info"]
    assert [path.name for path in packages.iterdir()] == ["whole-1.dist-info"]


def test_missing_lock_is_one_line_with_the_remedy(bootstrap: ModuleType, checkout: Path) -> None:
    (checkout / "deploy" / "locks" / "dev.txt").unlink()
    with pytest.raises(bootstrap.Stop, match=r"deploy/locks/dev\.txt is missing\. Get it back with git"):
        bootstrap.wanted_stamp(checkout)


def test_small_disk_is_refused_before_anything_is_written(
    bootstrap: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gibibyte = bootstrap.GIBIBYTE
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda _: Usage(9 * gibibyte, 7 * gibibyte, 2 * gibibyte))
    with pytest.raises(bootstrap.Stop, match=r"2\.0 GiB free, the setup needs 6 GiB"):
        bootstrap.require_disk(checkout, checkout / ".venv", bootstrap.NEEDED_BYTES)


def test_user_without_root_is_told_the_command(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None if name == "sudo" else f"/usr/bin/{name}")
    with pytest.raises(bootstrap.Stop, match="Run: sudo apt-get install -y libnuma1"):
        bootstrap.install_debian("libnuma1", "vLLM needs it")


def test_stale_package_lists_are_fetched_and_the_install_tried_again(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def fake_run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        calls.append("update" if "update" in command else "install")
        return subprocess.CompletedProcess(command, returncode=100 if calls == ["install"] else 0)

    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 0)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(bootstrap.subprocess, "run", fake_run)
    bootstrap.install_debian("libnuma1", "vLLM needs it")
    assert calls == ["install", "update", "install"]


class Replies:
    """Stands for pip: what it prints and how it ends, call by call."""

    def __init__(self, folder: Path, *replies: tuple[str, int]) -> None:
        self.replies = list(replies)
        self.log = folder / "bootstrap.log"

    def __call__(self, command: list[str], progress: object, total: int) -> int:
        text, status = self.replies.pop(0)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(text)
        return status


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        ([("", 0)], True),
        ([("ReadTimeoutError", 1), ("", 0)], True),
        ([("No matching distribution found for torch", 1)], False),
        ([("THESE PACKAGES DO NOT MATCH THE HASHES", 1)], False),
        ([("Retrying (Retry(total=4)) No matching distribution found", 1)] * 2, "Check the connection"),
        ([("ReadTimeoutError", 1)] * 2, "Check the connection"),
        ([("OSError: No space left on device", 1)], "The disk is full"),
    ],
)
def test_pips_end_is_understood(
    bootstrap: ModuleType, venv: Path, replies: list[tuple[str, int]], outcome: bool | str
) -> None:
    setup = bootstrap.Setup(venv.parent, lock=-1)
    pip = Replies(venv, *replies)
    setup._spawn = pip
    progress = bootstrap.Progress("torch")
    if isinstance(outcome, str):
        with pytest.raises(bootstrap.Stop, match=outcome):
            setup._try_pip(["torch-cpu.txt"], progress, attempts=2)
    else:
        assert setup._try_pip(["torch-cpu.txt"], progress, attempts=2) is outcome
    assert pip.replies == []


def test_output_comes_line_by_line_with_the_rest_at_the_end(bootstrap: ModuleType) -> None:
    script = "import sys; sys.stdout.write('one\\ntwo\\nthree')"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        lines = [line for line in bootstrap.lines_or_ticks(child) if line]
    assert lines == [b"one\n", b"two\n", b"three"]


def test_progress_counts_pips_packages(bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    progress = bootstrap.Progress("packages")
    progress._terminal = True
    for line in ("Collecting a==1", "  Downloading a_b-1-py3-none-any.whl (3.2 MB)", "Processing /b-1.whl"):
        progress.follow(line, total=3)
    drawn = capsys.readouterr().out.replace("\r", "\n")
    assert "1 of 3, downloading a_b (3.2 MB)" in drawn
    assert "2 of 3" in drawn
