"""Compiles, while the image is built, what Triton would compile at its first use of a GPU.

Triton loads its launcher for NVIDIA's driver from a module in C that it has a
compiler build on each machine (``triton/runtime/build.py``,
``backends/nvidia/driver.c``); without one vLLM ends with "Failed to find C
compiler". The module depends on Python and the driver's interface, not on the
card, so it is built here once, for each copy of Triton that is installed. At
run time ``stand_in.py`` lies where a compiler would, under the name ``gcc``,
and hands out these modules by the digest of their source.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

#: The sources, from a site-packages directory on.
SOURCES = "*/backends/nvidia/driver.c"


def build(site: Path, out: Path) -> list[Path]:
    """Compile every source found; the modules, each named by its source's SHA-256.

    Args:
        site: a site-packages directory.
        out: directory to write to.

    Raises:
        subprocess.CalledProcessError: the compiler failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    made = []
    with tempfile.TemporaryDirectory() as stubs:
        # The driver is the machine's own. To link, a library of its name is enough.
        stub = Path(stubs, "libcuda.so.1")
        empty = ["gcc", "-shared", "-x", "c", "/dev/null", f"-Wl,-soname,{stub.name}", "-o", str(stub)]
        subprocess.run(empty, check=True)
        for source in sorted(site.glob(SOURCES)):
            module = out / f"{hashlib.sha256(source.read_bytes()).hexdigest()}.so"
            options = ["-O3", "-shared", "-fPIC", "-Wno-psabi", "-Wl,--build-id=none", f"-l:{stub.name}", f"-L{stubs}"]
            headers = [f"-I{source.parent}/include", f"-I{sysconfig.get_path('include', 'posix_prefix')}"]
            # Relative, so that no path of the builder gets into the module.
            command = ["gcc", source.name, *options, *headers, "-o", str(module.resolve())]
            subprocess.run(command, check=True, cwd=source.parent)
            made.append(module)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile; 0."""
    parser = argparse.ArgumentParser(prog="python -m deploy.container.prebuilt", description="Compile Triton's module.")
    parser.add_argument("--site", type=Path, required=True, help="site-packages directory")
    parser.add_argument("--out", type=Path, required=True, help="directory to write to")
    options = parser.parse_args(arguments)
    for module in build(options.site, options.out):
        print(module)
    return 0


if __name__ == "__main__":
    sys.exit(main())
