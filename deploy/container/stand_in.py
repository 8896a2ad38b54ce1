#!/opt/appliance/venv/bin/python -IS
"""Lies where a C compiler would: copies a module that was compiled while the image was built, and nothing else.

Triton calls ``gcc SOURCE … -o TARGET`` (see ``prebuilt.py``). A source that was
not compiled then is not compiled now: the call fails and says so.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

PREBUILT = Path("/opt/appliance/prebuilt")


def main(arguments: list[str], prebuilt: Path = PREBUILT) -> int:
    """Copy the module of the source to the target; 0, or 1 if there is none."""
    sources = [word for word in arguments if word.endswith((".c", ".cc", ".cpp", ".cxx"))]
    target = arguments[arguments.index("-o") + 1] if "-o" in arguments[:-1] else None
    if len(sources) == 1 and target is not None:
        module = prebuilt / f"{hashlib.sha256(Path(sources[0]).read_bytes()).hexdigest()}.so"
        if module.is_file():
            shutil.copyfile(module, target)
            return 0
    sys.stderr.write(f"error: this image has no compiler, and nothing compiled in advance for {' '.join(sources)}.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
