"""Triton's module for NVIDIA's driver is compiled once, and found again by Triton itself where no compiler is."""

from __future__ import annotations

import importlib.util
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.container import prebuilt, stand_in

TRITON = importlib.util.find_spec("triton")
needs_compiler = pytest.mark.skipif(
    shutil.which("gcc") is None or TRITON is None, reason="gcc or Triton is missing: apt-get install gcc python3-dev"
)
#: What Triton does at its first use of a GPU, with the driver's library a stub.
LOAD = """
import ctypes, os, sys
from triton.backends import nvidia
from triton.runtime.build import compile_module_from_src
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL | os.RTLD_LAZY)
folder = os.path.dirname(nvidia.__file__)
sys.setdlopenflags(os.RTLD_LAZY)
source = open(f"{folder}/driver.c").read()
module = compile_module_from_src(source, "cuda_utils", ["/nowhere"], [f"{folder}/include"], ["libcuda.so.1"])
print(module.launch)
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of the modules of the Triton that is installed here."""
    assert TRITON is not None
    assert TRITON.origin is not None
    folder = tmp_path_factory.mktemp("prebuilt")
    assert prebuilt.main(["--site", str(Path(TRITON.origin).parents[1]), "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    library = tmp_path / "libcuda.so.1"
    command = ["gcc", "-shared", "-x", "c", "/dev/null", "-Wl,-soname,libcuda.so.1", "-o", str(library)]
    subprocess.run(command, check=True)
    return library


def program(folder: Path, modules: Path) -> Path:
    """The stand-in, as it lies in the image."""
    text = Path(stand_in.__file__).read_text(encoding="utf-8")
    text = text.replace("/opt/appliance/venv/bin/python -IS", f"{sys.executable} -IS")
    target = folder / "bin" / "gcc"
    target.parent.mkdir()
    target.write_text(text.replace("/opt/appliance/prebuilt", str(modules)), encoding="utf-8")
    target.chmod(target.stat().st_mode | stat.S_IXUSR)
    return target


@needs_compiler
def test_triton_loads_its_module_without_a_compiler(modules: Path, stub: Path, tmp_path: Path) -> None:
    folder = program(tmp_path, modules).parent
    environment = {"PATH": str(folder), "TRITON_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", LOAD, str(stub)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "launch" in done.stdout
    without = {**environment, "PATH": "/nowhere", "TRITON_CACHE_DIR": str(tmp_path / "other")}
    done = subprocess.run(command, env=without, capture_output=True, text=True, check=False)
    assert "Failed to find C compiler" in done.stderr


@needs_compiler
def test_two_builds_of_the_module_are_the_same(modules: Path, tmp_path: Path) -> None:
    assert TRITON is not None
    assert TRITON.origin is not None
    (again,) = prebuilt.build(Path(TRITON.origin).parents[1], tmp_path)
    assert again.read_bytes() == (modules / again.name).read_bytes()


def test_what_was_not_compiled_in_advance_is_refused(tmp_path: Path, capsys) -> None:
    source = tmp_path / "other.c"
    source.write_text("int main;", encoding="ascii")
    assert stand_in.main([str(source), "-o", str(tmp_path / "out")], tmp_path) == 1
    assert stand_in.main(["--version"], tmp_path) == 1
    assert "no compiler" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
